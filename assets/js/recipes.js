// Opening a result: by a button, or dropped anywhere; and copying what the form holds.
// `texts` and `most` (bytes) are written before this.
const part = (selector) => element.querySelector(selector);
const picker = part("input"), said = part(".said"), veil = part(".veil"), dialog = part("dialog");
const fill = (text, values) => text.replace(/{(\w+)}/g, (_, name) => values[name]);
const say = (words, alert = false) => {
  said.textContent = words;
  said.classList.toggle("alert", alert);
};

// A ZIP of a queue names its manifest in the directory at its end; the history takes it.
const isQueue = async (file) => {
  if (!/\.zip$/i.test(file.name)) return false;
  const end = await file.slice(Math.max(file.size - 2 ** 20 - 100, 0)).arrayBuffer().catch(() => null);
  return end && /PK\x01\x02[^]{42}queue\.json/.test(new TextDecoder("latin1").decode(end));
};

const take = async (file) => {
  if (!file) return;
  if (await isQueue(file)) { say(""); window.wanStudio.takeQueue(file); return; }
  const name = file.name.slice(0, 80);
  if (file.size > most) { say(fill(texts.too_large, { name, size: most / 2 ** 20 }), true); return; }
  say(fill(texts.opening, { name }));
  try {
    const { path } = await upload(file);
    trigger("take", { uploaded: path }); // Gradio takes what is called path for one of its files
    say("");
  } catch {
    say(fill(texts.not_uploaded, { name }), true);
  }
};

part('[data-does="open"]').onclick = () => picker.click();
picker.onchange = () => { take(picker.files[0]); picker.value = ""; };

// Dragged files are ours, but over what takes files itself.
const isOurs = (event) => {
  if (!event.dataTransfer?.types.includes("Files")) return false;
  const block = event.target.closest?.(".block");
  return !block || block === element.closest(".block") || !block.querySelector('input[type="file"]');
};
document.addEventListener("dragover", (event) => {
  veil.hidden = !isOurs(event);
  if (!veil.hidden) { event.preventDefault(); event.dataTransfer.dropEffect = "copy"; }
});
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) veil.hidden = true; });
document.addEventListener("drop", (event) => {
  veil.hidden = true;
  if (!isOurs(event)) return;
  event.preventDefault();
  take(event.dataTransfer.files[0]);
});

for (const button of element.querySelectorAll("[data-copies]")) {
  button.onclick = () => trigger("copy", { kind: button.dataset.copies });
}

const [told] = Object.keys({ told: [] }); // in quotes, Gradio would take the property for an event
watch(told, async () => {
  const { text, link, error } = props.told ?? {};
  if (error) { say(error, true); return; }
  const words = link ? new URL(link, location.href).href : text;
  if (!words) return;
  try {
    await navigator.clipboard.writeText(words);
    say(texts.copied);
  } catch {
    say("");
    const box = part("textarea");
    box.value = words;
    dialog.showModal();
    box.select();
  }
});
