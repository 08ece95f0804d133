// LoRAs by address: a field, and what is on its way. Stands after loras.js, in the same scope.
const begun = new Set(); // keys of downloads that were asked for here
let look = 0;

const tellDesk = (values) => trigger("ask", { files: [], ...values });
const small = (words, does) => {
  const button = make("button", { type: "button", textContent: words });
  button.onclick = does;
  return button;
};

const arrived = (one) => {
  if (!begun.delete(one.key)) return;
  const given = rows();
  if (given.length >= most || given.some((row) => row.file === one.name)) return;
  redraw([...given.filter((row) => row.file), { file: one.name, strength: "1", blocks: "", merge: false }]);
};

const arrival = (one) => {
  const moving = one.state === "queued" || one.state === "running";
  const bar = make("div", { className: "bar", role: "progressbar", ariaLabel: one.shown });
  bar.setAttribute("aria-valuenow", Math.round(one.share * 100));
  bar.append(make("div"));
  bar.firstChild.style.width = `${one.share * 100}%`;
  const failed = one.state === "failed";
  const words = make("p", {
    className: failed ? "alert" : "note", role: failed ? "alert" : "status", textContent: one.words,
    title: one.digest && `SHA-256 ${one.digest}`,
  });
  const buttons = moving
    ? [small(texts.stop, () => tellDesk({ stop: one.key }))]
    : [
      ...(one.name ? [] : [small(texts.again, () => tellDesk({ again: one.key }))]),
      small(texts.dismiss, () => tellDesk({ forget: one.key })),
    ];
  const parts = [make("p", { className: "lora-from", textContent: one.shown }), ...(moving ? [bar] : []), words];
  return make("div", { className: `lora-arrival ${one.state}` }, ...parts,
    make("div", { className: "lora-buttons" }, ...buttons));
};

const list = make("div", { className: "lora-arrivals" });
const refused = make("p", { className: "alert", role: "alert" });

const arrive = (answer) => {
  if (!owned) return;
  if (answer.begun) { begun.add(answer.begun); field.value = ""; }
  if (answer.begun || answer.refused) {
    refused.textContent = answer.refused;
    if (answer.refused) desk.insertBefore(refused, list);
    else refused.remove();
    button.disabled = false;
  }
  const signs = JSON.stringify(answer.arriving);
  if (signs !== list.dataset.signs) {
    list.dataset.signs = signs;
    const focused = list.contains(document.activeElement);
    list.replaceChildren(...answer.arriving.map(arrival));
    if (focused) list.querySelector("button")?.focus();
  }
  answer.arriving.filter((one) => one.name).forEach(arrived);
  clearTimeout(look);
  const moves = answer.arriving.some((one) => one.state === "queued" || one.state === "running");
  if (moves) look = setTimeout(() => { if (inSight) tellDesk({}); }, 1000);
};

const field = make("input", {
  type: "text", className: "lora-address", placeholder: texts.address_hint, title: texts.address_help,
  ariaLabel: texts.by_address, autocomplete: "off", spellcheck: false,
});
const button = make("button", { type: "button", className: "lora-fetch", textContent: texts.fetch });
const send = () => {
  if (!field.value.trim()) { field.focus(); return; }
  button.disabled = true;
  tellDesk({ add: field.value });
  setTimeout(() => { button.disabled = false; }, 15000); // should no answer come
};
button.onclick = send;
field.onkeydown = (event) => {
  if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) { event.preventDefault(); send(); }
};
if (owned) {
  desk.append(
    make("label", {}, make("span", { className: "caption", textContent: texts.by_address }),
      make("div", { className: "lora-line" }, field, button)),
    make("p", { className: "note", textContent: texts.address_help }), list);
}
