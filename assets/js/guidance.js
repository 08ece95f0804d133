// Sections of small controls. `sections` and `texts` are written before this.
const box = element.querySelector(".guidance");
let drawn = "";
let open = new Set();

const make = (tag, values = {}, ...children) => {
  const part = Object.assign(document.createElement(tag), values);
  part.append(...children);
  return part;
};
const rows = () => props.value || {};
const said = (field) => rows()[field.name] ?? field.default;
const changed = (section) => section.fields.filter((field) => field.name in rows()).length;

const keep = (field, value) => {
  const { [field.name]: before, ...next } = rows();
  if (value !== "" && value !== field.default) next[field.name] = value;
  drawn = JSON.stringify(next);
  props.value = next;
  trigger("input");
  count();
};

const inputs = {
  switch(field) {
    const input = make("input", { type: "checkbox", checked: Boolean(said(field)) });
    input.onchange = () => keep(field, input.checked);
    return input;
  },
  choice(field) {
    const input = make("select", {});
    input.append(...field.choices.map(([title, value]) => make("option", { value, textContent: title })));
    input.value = said(field);
    input.onchange = () => keep(field, input.value);
    return input;
  },
  number(field) {
    const input = make("input", {
      type: "number", value: said(field), min: field.low, max: field.high, step: field.step,
      placeholder: String(field.default),
    });
    input.onchange = () => {
      if (input.value === "" && field.default !== "") input.value = field.default;
      keep(field, input.value === "" ? "" : Number(input.value));
    };
    return input;
  },
  list(field) {
    const input = make("input", { type: "text", value: said(field), autocomplete: "off" });
    input.onchange = () => keep(field, input.value.trim());
    return input;
  },
};

const control = (field) => {
  const input = inputs[field.kind](field);
  input.id = `guidance-${field.name}`;
  input.setAttribute("aria-describedby", `${input.id}-help`);
  return make("div", { className: `guidance-field ${field.kind}` },
    make("label", { htmlFor: input.id, textContent: field.label }),
    input,
    make("p", { id: `${input.id}-help`, className: "note", textContent: field.help }));
};

const fold = (section, number) => {
  const part = make("details", { open: open.has(number) || changed(section) > 0 },
    make("summary", {}, make("span", { textContent: section.title }), make("span", { className: "count" })),
    ...section.fields.map(control));
  part.ontoggle = () => { open[part.open ? "add" : "delete"](number); };
  return part;
};

const reset = make("button", { type: "button", className: "guidance-reset", textContent: texts.reset });
reset.onclick = () => {
  open = new Set();
  props.value = {};
  trigger("input");
  draw();
};

// How many controls of a section are not as they would be without.
const count = () => {
  sections.forEach((section, number) => {
    const many = changed(section);
    box.children[number].querySelector(".count").textContent = many ? texts.changed.replace("{count}", many) : "";
  });
  reset.hidden = !Object.keys(rows()).length;
};

const draw = () => {
  drawn = JSON.stringify(rows());
  box.replaceChildren(...sections.map(fold), reset);
  count();
};

watch("value", () => { if (JSON.stringify(rows()) !== drawn) draw(); });
draw();
