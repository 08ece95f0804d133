// The job shown: stage, status, and the bar of what can be done. The studio sends HTML; only what has changed
// of it is touched, so that videos play on and menus stay open.
const part = (selector) => element.querySelector(selector);
const stage = part("#stage"), actions = part("#actions"), undo = part(".undo");
const last = {};
let large = false, deleted = null, fading = null;

// What a person has changed on the page itself.
const OURS = new Set(["hidden", "aria-expanded", "aria-pressed", "open"]);

// Make an element like another one, with as little as possible exchanged.
const become = (old, fresh) => {
  if (old.nodeName !== fresh.nodeName || (old.id || "") !== (fresh.id || "")) { old.replaceWith(fresh); return; }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!OURS.has(name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (!OURS.has(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const [mine, theirs] = [[...old.childNodes], [...fresh.childNodes]];
  theirs.forEach((child, number) => (mine[number] ? become(mine[number], child) : old.append(child)));
  mine.slice(theirs.length).forEach((child) => child.remove());
};

const show = (place, html) => {
  if (last[place.id] === html) return;
  last[place.id] = html;
  const fresh = place.cloneNode(false);
  fresh.innerHTML = html || "";
  become(place, fresh);
};

const choose = (job) => trigger("choose", { job });

const markTiles = () => {
  const { chosen = "" } = props.value?.stage ?? {};
  const several = Boolean(chosen);
  if (!several) large = false;
  stage.classList.toggle("several", several);
  stage.classList.toggle("large", large);
  for (const tile of stage.querySelectorAll(".tile")) {
    const mine = tile.dataset.key === chosen;
    tile.classList.toggle("chosen", mine);
    tile.querySelector(".pick").setAttribute("aria-pressed", String(mine));
    const button = tile.querySelector(".enlarge");
    const words = large ? texts.shrink : texts.enlarge;
    if (button.title !== words) { button.title = words; button.setAttribute("aria-label", words); }
    const video = tile.querySelector("video");
    if (video && video.controls !== (large && mine)) video.controls = large && mine;
  }
};

const showStage = ({ tiles = [], columns, rows, ratio }) => {
  stage.style.setProperty("--columns", columns);
  stage.style.setProperty("--rows", rows);
  stage.style.setProperty("--tile-ratio", ratio);
  const old = new Map([...stage.children].map((child) => [child.dataset.key, child]));
  tiles.forEach(({ id, html }, number) => {
    let child = old.get(id);
    old.delete(id);
    if (child?.source !== html) {
      const box = document.createElement("template");
      box.innerHTML = html;
      const fresh = box.content.firstElementChild;
      if (child) {
        become(child, fresh);
        if (!child.isConnected) child = fresh;
      } else child = fresh;
      child.source = html;
    }
    if (stage.children[number] !== child) stage.insertBefore(child, stage.children[number] || null);
  });
  for (const child of old.values()) child.remove();
  markTiles();
};

const draw = () => {
  const { stage: seen, status, actions: bar } = props.value ?? {};
  if (!seen) return;
  showStage(seen);
  show(part("#status"), status);
  show(actions, bar);
};

const complain = (words) => {
  const alert = part(".complaint");
  alert.hidden = !words;
  alert.textContent = words || "";
};

const showUndo = (job) => {
  clearTimeout(fading);
  deleted = job;
  undo.hidden = !job;
  if (job) fading = setTimeout(showUndo, texts.undo_seconds * 1000, null);
};

const closeMenus = (but) => {
  for (const button of element.querySelectorAll('.menu > [aria-expanded="true"]')) {
    if (button === but) continue;
    button.setAttribute("aria-expanded", "false");
    button.nextElementSibling.hidden = true;
  }
};

// A file in another format; making it may take a while.
const exported = async (job, format) => {
  for (;;) {
    const answer = await ask("export", { job, format });
    if (!answer.pending) return answer;
    await new Promise((resolve) => setTimeout(resolve, 400));
  }
};

// A codec that this browser does not know, HEVC mostly: what is shown then is made playable, the file stays.
stage.addEventListener("error", async (event) => {
  const video = event.target;
  if (video.nodeName !== "VIDEO" || video.remade) return;
  video.remade = true;
  const { href } = await exported(video.closest("[data-key]").dataset.key, "play");
  if (href && video.isConnected) video.src = href;
}, true);

const act = async (name, job) => {
  const answer = await ask(name, { job });
  complain(answer.error);
  if (answer.choose) { choose(answer.choose); document.getElementById("look-again")?.click(); }
  return answer;
};

const shown = () => part(".acts")?.dataset.job;

const does = {
  choose: ({ job }) => choose(job),
  enlarge: ({ job }) => {
    large = !large;
    if (large && job !== props.value.stage.chosen) choose(job);
    markTiles();
  },
  take: ({ seed }) => trigger("take", { seed }),
  reuse: () => trigger("reuse", { job: shown() }),
  send: ({ to }) => trigger("send", { job: shown(), to }),
  again: () => act("again", shown()),
  final: () => act("final", shown()),
  delete: async () => {
    const job = shown();
    if ((await act("delete", job)).undo) { choose(""); showUndo(job); }
  },
  undo: () => { const job = deleted; showUndo(null); act("undo", job); },
  dismiss: () => showUndo(null),
  compare: () => compare(shown(), ""),
  close: () => dialog.close(),
  play: () => setPlaying(!playing),
  "leave-picking": () => pick(null),
  export: async ({ format }, button) => {
    const words = button.textContent, opener = part("#download");
    button.textContent = texts.preparing;
    opener.setAttribute("aria-busy", "true");
    const answer = await exported(shown(), format);
    button.textContent = words;
    opener.removeAttribute("aria-busy");
    complain(answer.error);
    if (answer.href) Object.assign(document.createElement("a"), { href: answer.href, download: answer.name }).click();
    closeMenus();
  },
};

element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-does], a[download]");
  if (button?.dataset.does !== "export") closeMenus(button); // it says there how far it is
  if (!button?.dataset.does) return;
  if (button.dataset.does !== "menu") {
    does[button.dataset.does](button.dataset, button);
    return;
  }
  const open = button.getAttribute("aria-expanded") !== "true";
  button.setAttribute("aria-expanded", String(open));
  button.nextElementSibling.hidden = !open;
});
document.addEventListener("click", (event) => { if (!element.contains(event.target)) closeMenus(); });
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !large) return;
  large = false;
  markTiles();
});
element.addEventListener("keydown", (event) => {
  const open = part('.menu > [aria-expanded="true"]');
  if (!open) return;
  if (event.key === "Escape") {
    closeMenus();
    open.focus();
    event.stopPropagation();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const items = [open, ...open.nextElementSibling.querySelectorAll(":is(button, a):not([disabled])")];
    const step = event.key === "ArrowDown" ? 1 : items.length - 1;
    items[(Math.max(items.indexOf(document.activeElement), 0) + step) % items.length].focus();
    event.preventDefault();
  }
});

watch("value", draw);
draw();
