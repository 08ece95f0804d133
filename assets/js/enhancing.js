// Settings: who writes prompts out. The key is only ever sent. `texts` is written before this.
const box = element.querySelector(".writer");
const make = (tag, values = {}, ...children) => {
  const part = Object.assign(document.createElement(tag), values);
  part.append(...children);
  return part;
};
const labelled = (name, title, help, values = {}) => {
  const input = make("input", { type: "text", name, autocomplete: "off", spellcheck: false, ...values });
  const parts = [make("span", { textContent: title }), input];
  if (help) parts.push(make("small", { className: "note", textContent: help }));
  return make("label", { className: "line" }, ...parts);
};

const draw = (now) => {
  const kinds = Object.entries(texts.writer_kinds).map(([value, title]) => make("label", { className: "kind" },
    make("input", { type: "radio", name: "kind", value, checked: value === now.kind }), title));
  const models = make("datalist", { id: "settings-enhancer-models" }, ...now.models.map((name) => new Option(name)));
  const folder = labelled("local_model", texts.writer_folder, texts.writer_folder_help, { value: now.local_model });
  folder.querySelector("input").setAttribute("list", models.id);
  const local = make("div", {}, folder, models);
  const key = labelled("key", texts.writer_key, now.has_key ? texts.writer_key_kept : texts.writer_key_help,
    { type: "password", autocomplete: "new-password" });
  const forget = make("button", { type: "button", textContent: texts.writer_forget_key, hidden: !now.has_key });
  forget.onclick = () => save({ forget: true });
  const endpoint = make("div", {}, labelled("url", texts.writer_url, texts.writer_url_help, { value: now.url }),
    labelled("endpoint_model", texts.writer_model, "", { value: now.endpoint_model }), key, forget);
  const seconds = labelled("seconds", texts.writer_seconds, "",
    { type: "number", min: 1, max: 600, step: 1, value: now.seconds });
  const button = make("button", { type: "submit", className: "save", textContent: texts.save });
  const words = make("p", {
    className: now.error ? "alert" : "note", role: now.error ? "alert" : "status",
    textContent: now.error || now.note || "",
  });
  const follow = () => {
    const kind = box.elements.kind.value;
    local.hidden = kind !== "local";
    endpoint.hidden = kind !== "endpoint";
    seconds.hidden = kind === "off";
  };
  box.replaceChildren(make("div", { className: "kinds", role: "radiogroup", ariaLabel: texts.writer }, ...kinds),
    local, endpoint, seconds, button, words);
  box.onchange = follow;
  box.onsubmit = (event) => { event.preventDefault(); save({}); };
  follow();
};
const save = (more) => {
  const { kind, local_model, url, endpoint_model, key, seconds } = box.elements;
  trigger("ask", {
    door: "save",
    asked: {
      kind: kind.value, local_model: local_model.value, url: url.value, endpoint_model: endpoint_model.value,
      key: key.value, seconds: Number(seconds.value), ...more,
    },
  });
};

const [told] = Object.keys({ told: [] }); // in quotes, Gradio would take the property for an event
watch(told, () => { if (props.told) draw(props.told); });
let asked = false;
new IntersectionObserver((entries) => {
  if (asked || !entries.some((entry) => entry.isIntersecting)) return;
  asked = true;
  trigger("ask", { door: "look" });
}, { rootMargin: "2000px" }).observe(element);
