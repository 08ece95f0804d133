// The bar below the prompt: presets, styles, wildcards, writing out, tokens. Names and texts of files and of
// language models are data of strangers: they are only ever set as text. `texts` is written before this.
const box = element.querySelector(".prompting");
const make = (tag, values = {}, ...children) => {
  const part = Object.assign(document.createElement(tag), values);
  part.append(...children);
  return part;
};
const fill = (text, values) => text.replace(/{(\w+)}/g, (whole, name) => values[name] ?? whole);
const area = () => document.querySelector("#form-prompt textarea");
const ask = (door, asked = {}) => trigger("ask", { door, asked });

let seen = { presets: [], styles: [], wildcards: [], length: {}, who: "" };
let open = "", said = null, writing = false, offer = "", before = null, late = 0;

// As if typed, so that it stays and undoing is typing, too.
const put = (text) => {
  const prompt = area();
  prompt.value = text;
  prompt.dispatchEvent(new Event("input", { bubbles: true }));
};
const insert = (word) => {
  const prompt = area(), { selectionStart: from, selectionEnd: to, value } = prompt;
  put(value.slice(0, from) + word + value.slice(to));
  prompt.focus();
  prompt.selectionStart = prompt.selectionEnd = from + word.length;
};

const button = (words, does, values = {}) => {
  const part = make("button", { type: "button", textContent: words, ...values });
  part.onclick = does;
  return part;
};
const field = (name, placeholder) =>
  make("input", { type: "text", className: name, placeholder, ariaLabel: placeholder, autocomplete: "off" });
const remover = (name, door) => button("×", () => {
  if (confirm(fill(texts.confirm_delete, { name }))) ask(door, { name });
}, { className: "remove", title: fill(texts.delete, { name }), ariaLabel: fill(texts.delete, { name }) });
const onEnter = (input, does) => {
  input.onkeydown = (event) => {
    if (event.key !== "Enter" || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    does();
  };
};
const note = (words) => make("p", { className: "note", textContent: words });
const chips = (items) => make("div", { className: "chips" }, ...items);

const presets = () => {
  const list = seen.presets.map((name) => make("span", { className: "named" },
    button(name, () => trigger("preset", { name }), { className: "preset" }),
    ...(texts.owned ? [remover(name, "delete-preset")] : [])));
  const parts = [note(texts.presets_help), list.length ? chips(list) : note(texts.no_presets)];
  if (!texts.owned) return parts;
  const name = field("preset-name", texts.preset_name);
  const save = () => {
    props.value = { ...props.value, saving: name.value };
    trigger("save");
  };
  onEnter(name, save);
  const file = make("input", { type: "file", accept: ".json,application/json", hidden: true });
  file.onchange = async () => ask("import", { text: await file.files[0].text() });
  return [...parts, make("div", { className: "line" }, name, button(texts.save, save, { className: "save" }),
    button(texts.export, () => ask("export"), { className: "quiet" }),
    button(texts.import_, () => file.click(), { className: "quiet" }), file)];
};

const styles = () => {
  const list = seen.styles.map(({ name, words, own, on }) => {
    const chip = button(name, () => trigger("style", { name }), {
      className: "style", title: fill(on ? texts.take_off : texts.put_on, { name, words }),
    });
    chip.setAttribute("aria-pressed", String(on));
    return make("span", { className: "named" }, chip, ...(own && texts.owned ? [remover(name, "delete-style")] : []));
  });
  const parts = [note(texts.styles_help), chips(list)];
  if (!texts.owned) return parts;
  const name = field("style-name", texts.style_name);
  const words = field("style-words", texts.style_words), negative = field("style-negative", texts.style_negative);
  const save = () => ask("save-style", { name: name.value, prompt: words.value, negative: negative.value });
  for (const each of [name, words, negative]) onEnter(each, save);
  return [...parts, make("details", {}, make("summary", { textContent: texts.new_style }),
    make("div", { className: "line" }, name, words, negative, button(texts.save, save, { className: "save" })))];
};

const wildcards = () => [note(texts.wildcards_help),
  chips(seen.wildcards.map((name) => button(`__${name}__`, () => insert(`__${name}__`)))),
  ...(texts.wildcards_folder ? [note(texts.wildcards_folder)] : [])];

const panels = { presets, styles, wildcards };

const enhance = () => {
  said = null;
  if (!seen.who) say({ note: texts.enhance_off });
  else {
    writing = true;
    ask("enhance");
  }
  draw();
};
const offered = () => {
  if (!offer) return [];
  const use = () => {
    before = area().value;
    put(offer);
    offer = "";
    said = { note: texts.used, undo: true };
    draw();
  };
  const discard = () => { offer = ""; draw(); };
  return [make("div", { className: "offer", role: "status" },
    make("p", { className: "caption", textContent: fill(texts.offered, seen) }),
    make("p", { className: "text", textContent: offer }),
    make("div", { className: "line" }, button(texts.use, use, { className: "use save" }),
      button(texts.discard, discard, { className: "quiet" })))];
};
const spoken = () => {
  if (!said) return [];
  const words = said.error || said.note;
  const line = make("p", { className: said.error ? "alert" : "note", role: said.error ? "alert" : "status" }, words, " ");
  if (said.undo) line.append(button(texts.undo, () => { put(before); said = null; draw(); }, { className: "undo" }));
  return [line];
};
const say = (answer) => { said = answer.error || answer.note ? answer : null; };

const length = () => {
  const { count, limit, about, error } = seen.length;
  const far = count > limit;
  const words = count ? fill(about ? texts.tokens_about : texts.tokens, { count, limit }) : "";
  const shown = make("span", { className: far ? "tokens far" : "tokens", textContent: words, title: texts.tokens_help });
  const warning = error || (far ? fill(texts.too_long, { count, limit }) : "");
  return [shown, ...(warning ? [make("p", { className: "warning", role: "status", textContent: warning })] : [])];
};

// The head is drawn anew, the panel only when it is another one or the lists in it have changed: somebody
// may be typing in it.
const head = make("div", { className: "helpers" }), panel = make("div", { className: "panel" });
const foot = make("div", { className: "told" });
box.append(head, foot, panel);
let drawn = "";
const draw = () => {
  const focused = head.contains(document.activeElement) ? document.activeElement.dataset.name : "";
  const tab = (name) => {
    const worn = name === "styles" ? seen.styles.filter(({ on }) => on).length : 0;
    const part = button(worn ? `${texts[name]} · ${worn}` : texts[name], () => {
      open = open === name ? "" : name;
      draw();
    });
    part.dataset.name = name;
    part.setAttribute("aria-expanded", String(open === name));
    return part;
  };
  const write = writing
    ? button(texts.stop, () => ask("stop"), { className: "stop-writing" })
    : button(texts.enhance, enhance, { className: "enhance", title: fill(texts.enhance_help, { who: seen.who || "…" }) });
  write.dataset.name = "enhance";
  const [tokens, ...warning] = length();
  head.replaceChildren(tab("presets"), tab("styles"), tab("wildcards"), ...(texts.owned ? [write] : []),
    ...(writing ? [make("span", { className: "note", role: "status", textContent: texts.enhancing })] : []), tokens);
  if (focused) head.querySelector(`[data-name="${focused}"]`)?.focus();
  foot.replaceChildren(...warning, ...spoken(), ...offered());
  const now = JSON.stringify([open, open && seen[open]]);
  if (now === drawn) return;
  drawn = now;
  const unfolded = panel.querySelector("details")?.open;
  panel.replaceChildren(...(open ? panels[open]() : []));
  if (unfolded && panel.querySelector("details")) panel.querySelector("details").open = true;
  panel.hidden = !open;
};

const download = (text) => {
  const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  make("a", { href: address, download: "wan-studio-presets.json" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
};
const answers = {
  look(answer) { if (answer.styles) seen = answer; },
  enhance(answer) { writing = false; offer = answer.text || ""; say(answer); },
  export(answer) { if (answer.file) download(answer.file); say(answer); },
};
const [told] = Object.keys({ told: [] }); // in quotes, Gradio would take the property for an event
watch(told, () => {
  const answer = props.told;
  if (!answer) return;
  if (answers[answer.door]) answers[answer.door](answer);
  else {
    say(answer);
    ask("look");
  }
  draw();
});

box.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !(open || writing)) return;
  if (writing) ask("stop");
  const name = writing ? "enhance" : open;
  open = "";
  draw();
  head.querySelector(`[data-name="${name}"]`)?.focus();
});

const lines = () => Math.max((area()?.value ?? "").split("\n").filter((line) => line.trim()).length, 1);
let counted = 1;
document.addEventListener("prompt-changed", () => {
  if (before !== null && said?.undo && area() && !area().value) said = null;
  clearTimeout(late);
  late = setTimeout(() => {
    ask("look");
    const now = lines();
    if (now !== counted) trigger("counted"); // each line may be a video, see the line above Generate
    counted = now;
  }, 350);
});
draw();
ask("look");
