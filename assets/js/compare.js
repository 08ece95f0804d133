// Two results side by side. The longer video leads; the other one keeps to its time, and stands on its last
// frame while the longer one goes on.
const dialog = part("dialog.compare");
const slider = dialog.querySelector("input[type=range]");
const selects = [...dialog.querySelectorAll("select")];
const views = [...dialog.querySelectorAll(".view")];
const TOLERANCE = 0.1; // seconds
let playing = true, films = [], pending = 0, picked = null;

const leader = () => films.reduce((best, film) => (!best || film.duration > best.duration ? film : best), null);
const known = () => films.length > 0 && films.every((film) => Number.isFinite(film.duration));
const place = (film, time) => { film.currentTime = Math.min(time, Math.max(film.duration - 0.02, 0)); };
const tell = (lead) => {
  dialog.querySelector("output").textContent =
    `${lead.currentTime.toFixed(1)} / ${lead.duration.toFixed(1)} s`;
};

const seek = (time) => { films.forEach((film) => place(film, time)); };
const setPlaying = (on) => {
  playing = on;
  const button = dialog.querySelector(".play");
  button.textContent = on ? "❚❚" : "►";
  button.setAttribute("aria-label", on ? texts.pause : texts.play);
  if (!on) films.forEach((film) => film.pause());
  if (!on && known()) seek(leader().currentTime);
};

const keepTime = () => {
  if (!dialog.open) return;
  requestAnimationFrame(keepTime);
  if (!known()) return;
  const lead = leader();
  if (playing && lead.ended) seek(0);
  for (const film of films) {
    const over = film !== lead && lead.currentTime >= film.duration;
    if (film !== lead && !film.seeking) {
      const wanted = Math.min(lead.currentTime, Math.max(film.duration - 0.02, 0));
      if (Math.abs(film.currentTime - wanted) > (playing && !over ? TOLERANCE : 0.02)) place(film, wanted);
    }
    if (playing && !over && film.paused) film.play().catch(() => {});
    if ((!playing || over) && !film.paused) film.pause();
  }
  if (document.activeElement !== slider || playing) slider.value = lead.currentTime;
  slider.max = lead.duration;
  tell(lead);
};

const showSide = async (view, side, mine) => {
  const media = document.createElement(side.picture ? "img" : "video");
  media.className = side.crisp ? "crisp" : "";
  media.style.aspectRatio = side.shape;
  const made = async () => {
    const answer = await exported(side.job, "play");
    if (mine !== pending) return;
    complainHere(answer.error);
    if (answer.href) media.src = answer.href;
  };
  if (!side.picture) {
    Object.assign(media, { muted: true, playsInline: true, preload: "auto" });
    media.fps = side.fps;
    films.push(media);
    if (side.href) media.addEventListener("error", made, { once: true }); // a codec this browser does not know
  }
  view.replaceChildren(media);
  if (side.href) media.src = side.href;
  else await made();
};

const complainHere = (words) => {
  const alert = dialog.querySelector(".alert");
  alert.hidden = !words;
  alert.textContent = words || "";
};

const compare = async (job, other) => {
  const mine = ++pending;
  const seen = await ask("compare", { job, other });
  if (mine !== pending) return;
  if (!seen.sides) {
    if (dialog.open) complainHere(seen.error);
    else complain(seen.error);
    return;
  }
  complain("");
  complainHere("");
  films = [];
  seen.sides.forEach((side, number) => {
    const others = seen.offered.map(([value, title]) => new Option(title, value));
    selects[number].replaceChildren(...others);
    selects[number].value = side.job;
    showSide(views[number], side, mine);
  });
  dialog.querySelector(".transport").hidden = !films.length;
  dialog.querySelector(".differences").innerHTML = seen.differences;
  setPlaying(!window.matchMedia("(prefers-reduced-motion: reduce)").matches);
  if (dialog.open) return;
  dialog.showModal();
  dialog.querySelector(films.length ? ".play" : ".close").focus();
  requestAnimationFrame(keepTime);
};

for (const select of selects) {
  select.addEventListener("change", () => compare(selects[0].value, selects[1].value));
}
slider.addEventListener("input", () => { setPlaying(false); seek(Number(slider.value)); });
dialog.addEventListener("close", () => {
  pending += 1;
  films.forEach((film) => film.pause());
  films = [];
  views.forEach((view) => view.replaceChildren());
});
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
dialog.addEventListener("keydown", (event) => {
  event.stopPropagation();
  if (event.target.matches("select, input") || !known()) return;
  if (event.key === " " && !event.target.matches("button")) {
    setPlaying(!playing);
    event.preventDefault();
  }
  if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
    setPlaying(false);
    const frame = (event.key === "ArrowLeft" ? -1 : 1) / Math.max(...films.map((film) => film.fps));
    seek(Math.max(leader().currentTime + frame, 0));
    event.preventDefault();
  }
});

// From the history two cards are picked, one after the other.
const picking = part(".picking");
const pick = (job) => {
  picked = job;
  picking.hidden = !job;
};
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && picked) pick(null); });
window.wanStudio.compare = (job) => {
  if (!picked || picked === job) { pick(job); return; }
  const first = picked;
  pick(null);
  compare(first, job);
};
