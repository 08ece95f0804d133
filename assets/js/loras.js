// Rows of LoRAs. Names and texts of files are data of strangers: they are only ever set as text.
// `texts`, `most` and `owned` are written before this; arriving.js stands after it.
const rowsBox = document.createElement("div"), desk = document.createElement("div");
rowsBox.className = "lora-rows";
desk.className = "lora-desk";
const box = element.querySelector(".loras");
box.append(rowsBox, desk);
const cards = new Map();
let names = null;
let inSight = false;
let drawn = "";

const make = (tag, values = {}, ...children) => {
  const part = Object.assign(document.createElement(tag), values);
  part.append(...children);
  return part;
};
const fill = (text, values) => text.replace(/{(\w+)}/g, (_, name) => values[name]);
const rows = () => props.value || [];

const keep = (next) => {
  drawn = JSON.stringify(next);
  props.value = next;
  trigger("input");
};
const set = (number, changes) =>
  keep(rows().map((row, at) => (at === number ? { ...row, ...changes } : row)));
const redraw = (next) => { keep(next); draw(); };

// Names, and the cards of these files, come back as the property `told`.
const ask = (files) => {
  for (const file of files) cards.set(file, null);
  trigger("ask", { files });
};

const choice = (row, number) => {
  const files = [...(names || [])];
  const absent = row.file && names && !files.includes(row.file);
  if (row.file && !files.includes(row.file)) files.unshift(row.file);
  const select = make("select", { className: "lora-file", ariaLabel: texts.choose });
  select.append(make("option", { value: "", textContent: texts.choose }));
  for (const file of files) {
    const title = absent && file === row.file ? `${file} (${texts.absent})` : file;
    select.append(make("option", { value: file, textContent: title }));
  }
  select.value = row.file || "";
  select.onchange = () =>
    redraw(rows().map((each, at) => (at === number ? { ...each, file: select.value } : each)));
  return select;
};

const weight = (row, number) => {
  const text = make("input", {
    type: "text", className: "lora-strength", value: row.strength, title: texts.strength_help,
    ariaLabel: texts.strength, autocomplete: "off",
  });
  const slider = make("input", {
    type: "range", className: "lora-slider", min: -2, max: 2, step: 0.05, ariaLabel: texts.strength,
  });
  const follow = () => {
    const single = /^\s*-?[\d.]+\s*$/.test(text.value);
    slider.disabled = !single;
    if (single) slider.value = Number(text.value);
  };
  follow();
  slider.oninput = () => { text.value = String(Number(Number(slider.value).toFixed(2))); };
  slider.onchange = () => set(number, { strength: text.value });
  text.onchange = () => { follow(); set(number, { strength: text.value }); };
  return [slider, text];
};

const more = (row, number) => {
  const blocks = make("input", {
    type: "text", className: "lora-blocks", value: row.blocks || "", placeholder: "0-9, 20, ffn",
    title: texts.blocks_help, autocomplete: "off",
  });
  blocks.onchange = () => set(number, { blocks: blocks.value });
  const merge = make("input", { type: "checkbox", className: "lora-merge", checked: Boolean(row.merge) });
  merge.onchange = () => set(number, { merge: merge.checked });
  return make("details", { className: "lora-more", open: Boolean(row.blocks || row.merge) },
    make("summary", { textContent: texts.more }),
    make("label", { title: texts.blocks_help }, make("span", { textContent: texts.blocks }), blocks),
    make("label", { title: texts.merge_help }, merge, make("span", { textContent: texts.merge })));
};

const chips = (title, words) => make("div", { className: "lora-words" },
  make("span", { className: "caption", textContent: title }),
  make("div", { className: "chips" }, ...words.map((word) => {
    const chip = make("button", { type: "button", textContent: word });
    chip.onclick = () => trigger("word", { word });
    return chip;
  })));

const told = (row, number) => {
  const card = cards.get(row.file);
  if (!card) return [];
  const parts = [];
  if (card.problem) parts.push(make("p", { className: "alert", textContent: card.problem }));
  const facts = [card.title, card.base, card.rank && fill(texts.rank, card)].filter(Boolean).join(" · ");
  if (facts) parts.push(make("p", { className: "note", textContent: facts }));
  if (card.words.length) parts.push(chips(texts.words, card.words));
  else if (card.tags.length) parts.push(chips(texts.tags, card.tags));
  if (card.preset) {
    const button = make("button", {
      type: "button", className: "lora-preset", textContent: fill(texts.preset, card.preset),
    });
    button.onclick = () => {
      redraw(rows().map((each, at) =>
        (at === number ? { ...each, strength: String(card.preset.strength) } : each)));
      trigger("preset", { preset: card.preset.key });
    };
    parts.push(button);
  }
  const about = make("div", { className: "lora-about" }, ...parts);
  return card.preview ? [make("img", { className: "lora-preview", src: card.preview, alt: "" }), about] : [about];
};

const draw = () => {
  drawn = JSON.stringify(rows());
  const unknown = rows().map((row) => row.file).filter((file) => file && !cards.has(file));
  if (inSight && unknown.length) ask(unknown);
  const parts = rows().map((row, number) => {
    const remove = make("button", {
      type: "button", className: "lora-remove", textContent: "×", title: texts.remove, ariaLabel: texts.remove,
    });
    remove.onclick = () => redraw(rows().filter((_, at) => at !== number));
    return make("div", { className: "lora-row" },
      make("div", { className: "lora-line" }, choice(row, number), ...weight(row, number), remove),
      make("div", { className: "lora-told" }, ...told(row, number)),
      more(row, number));
  });
  if (names && !names.length && !rows().length) {
    parts.push(make("p", { className: "note", textContent: texts.none_yet }));
  } else if (rows().length < most) {
    const add = make("button", { type: "button", className: "lora-add", textContent: texts.add });
    add.onclick = () => redraw([...rows(), { file: "", strength: "1", blocks: "", merge: false }]);
    parts.push(add);
  }
  rowsBox.replaceChildren(...parts);
};

watch("value", () => { if (JSON.stringify(rows()) !== drawn) draw(); });
const [answer] = Object.keys({ told: [] }); // in quotes, Gradio would take the property for an event
watch(answer, () => {
  if (!props.told) return;
  names = props.told.names;
  for (const [file, card] of Object.entries(props.told.cards)) cards.set(file, card);
  draw();
  arrive(props.told);
});
new IntersectionObserver((entries) => {
  const entered = entries.some((entry) => entry.isIntersecting);
  if (!entered) { inSight = false; return; }
  if (inSight) return;
  inSight = true;
  ask(rows().map((row) => row.file).filter(Boolean));
}).observe(box);
draw();
