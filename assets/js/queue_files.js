// The queue as a file: saved with a click, taken from a picker or from what was dropped on the page.
// `most` (bytes) is written before this.
const saidBox = part(".queue-told"), picker = part(".queue-file");
const LINES = 20;

const tell = (words, lines = [], alert = false) => {
  saidBox.hidden = !words;
  saidBox.classList.toggle("alert", alert);
  part(".queue-told p").textContent = words;
  const shown = lines.slice(0, LINES);
  if (lines.length > LINES) shown.push(fill(texts.more_lines, { count: lines.length - LINES }));
  part(".queue-told ul").replaceChildren(
    ...shown.map((line) => Object.assign(document.createElement("li"), { textContent: line })));
};

// What takes a while is begun, and then asked for until it is there.
const errand = async (name, values, at_work) => {
  let answer = await ask("act", { does: name, ...values });
  while (answer.task) {
    tell(answer.total ? fill(texts.progress, { words: at_work, ...answer }) : at_work);
    await new Promise((resolve) => setTimeout(resolve, 300));
    answer = await ask("act", { does: "errand", task: answer.task });
  }
  return answer;
};

const takeQueue = async (file) => {
  if (!file) return;
  const name = file.name.slice(0, 80);
  if (file.size > most) { tell(fill(texts.too_large, { name, size: Math.floor(most / 2 ** 20) }), [], true); return; }
  tell(fill(texts.loading, { name }));
  let uploaded;
  try {
    uploaded = (await upload(file)).path;
  } catch {
    tell(fill(texts.not_uploaded, { name }), [], true);
    return;
  }
  const answer = await errand("load-queue", { uploaded }, fill(texts.loading, { name }));
  if (answer.words) tell(answer.words, answer.lines, answer.refused);
  else tell(answer.error || texts.no_answer, [], true);
  lookAnew();
  document.getElementById("look-again")?.click();
};

Object.assign(does, {
  "save-queue": async () => {
    const { href, name, words, lines, error } = await errand("save-queue", {}, texts.saving);
    if (!href) { tell(error || texts.no_answer, [], true); return; }
    tell(words, lines);
    const link = Object.assign(document.createElement("a"), { href, download: name });
    document.body.append(link);
    link.click();
    link.remove();
  },
  "load-queue": () => picker.click(),
  "queue-read": () => { tell(""); part("[data-does=load-queue]").focus(); },
});
picker.onchange = () => { takeQueue(picker.files[0]); picker.value = ""; };

window.wanStudio.queueCame = () => {
  const file = window.wanStudio.queueGiven;
  window.wanStudio.queueGiven = null;
  takeQueue(file);
};
window.wanStudio.queueCame();
