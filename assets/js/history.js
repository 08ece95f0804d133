// Queue and history. Rows and cards come from the studio as HTML; what has not changed is left alone, so that
// the focus, an open menu and a thumbnail that plays stay.
const part = (selector) => element.querySelector(selector);
const queue = part(".queue"), past = part(".cards"), form = part(".search"), undo = part(".undo");
const state = { known: null, after: null, epoch: 0, more: false, deleted: [], favourites: false };
let busy = false, again = false, pressed = false, dragged = null, typing = null, fading = null;

const inSight = () => element.offsetParent !== null;
const attribute = (text) => CSS.escape(text);
const midnight = (text, days) => {
  if (!text) return null;
  const [year, month, day] = text.split("-").map(Number);
  return new Date(year, month - 1, day + days).getTime() / 1000;
};
const search = () => ({
  words: form.words.value, model: form.model.value, tag: form.tag.value,
  since: midnight(form.since.value, 0), until: midnight(form.until.value, 1), favourites: state.favourites,
});
const searching = () => Object.values(search()).some(Boolean);

// Make the children of a list those of `items`, by their keys.
const place = (list, items, from = 0) => {
  const active = list.contains(document.activeElement) ? document.activeElement : null;
  const old = new Map([...list.children].map((child) => [child.dataset.key, child]));
  items.forEach(({ id, html }, number) => {
    let child = old.get(id);
    old.delete(id);
    if (!child || child.source !== html) {
      const box = document.createElement("template");
      box.innerHTML = html;
      const fresh = box.content.firstElementChild;
      fresh.source = html;
      if (child) exchange(child, fresh);
      child = fresh;
    }
    const there = list.children[from + number];
    if (there !== child) list.insertBefore(child, there || null);
  });
  if (!from) for (const child of old.values()) child.remove();
  if (active?.isConnected) active.focus(); // what is moved loses it
};

// A row whose words have changed: an open menu stays open, and the focus where it was.
const exchange = (old, fresh) => {
  const does = old.contains(document.activeElement) && document.activeElement.dataset.does;
  const open = old.querySelector("details[open]");
  old.replaceWith(fresh);
  if (open && fresh.querySelector("details")) fresh.querySelector("details").open = true;
  if (does) fresh.querySelector(`[data-does="${attribute(does)}"]`)?.focus();
};

const mark = () => {
  for (const button of element.querySelectorAll("button.open")) {
    if (button.dataset.job === props.value?.watched) button.setAttribute("aria-pressed", "true");
    else button.removeAttribute("aria-pressed");
  }
};

const offer = (select, first, choices) => {
  const kept = select.value;
  if (kept && !choices.some(([value]) => value === kept)) choices = [...choices, [kept, kept]];
  select.replaceChildren(...[["", first], ...choices].map(([value, title]) => new Option(title, value)));
  select.value = kept;
  select.hidden = choices.length < (select === form.tag ? 1 : 2) && !kept;
};

const showQueue = (seen) => {
  if (dragged || pressed) again = true;
  else place(queue, seen.queue);
  const count = seen.queue.length;
  part(".nothing.waiting").hidden = count > 0;
  part(".head .total").textContent = seen.total;
  part("[data-does=pause]").hidden = Boolean(seen.paused) || !count;
  part("[data-does=cancel-all]").hidden = !count;
  part("[data-does=save-queue]").hidden = !seen.can_save;
  part(".paused").hidden = !seen.paused;
  part(".paused span").textContent = seen.paused;
  part("[data-does=free]").hidden = !seen.can_free;
};

const showPast = (seen, more) => {
  state.after = seen.after;
  place(past, seen.past, more ? past.children.length : 0);
  const words = searching();
  part(".found").textContent = words ? fill(texts.found, seen) : "";
  part("[data-does=clear]").hidden = !words;
  part("[data-does=more]").hidden = !seen.after;
  const nothing = part(".nothing.past");
  nothing.hidden = past.children.length > 0;
  nothing.textContent = words ? texts.nothing_found : texts.nothing;
  form.hidden = !words && seen.count === 0;
  offer(form.model, texts.any_model, seen.models);
  offer(form.tag, texts.any_tag, seen.tags.map((tag) => [tag, tag]));
  part("#history-tags").replaceChildren(...seen.tags.map((tag) => new Option(tag)));
};

const complain = (words) => {
  part(".alert").hidden = !words;
  part(".alert").textContent = words || "";
};

// One look at a time; what is asked for meanwhile comes after it. Cards of a search that has changed since
// are not shown.
const look = async (more = false) => {
  if (busy) { again = true; state.more ||= more; return; }
  busy = true;
  const { epoch } = state;
  try {
    const wanted = { search: search(), shown: past.children.length, known: more ? null : state.known };
    const seen = await ask("look", more ? { ...wanted, after: state.after } : wanted);
    if (!seen.queue) { complain(seen.error); return; }
    showQueue(seen);
    if (epoch === state.epoch) {
      if (seen.past) showPast(seen, more);
      state.known = seen.revision;
    }
    mark();
  } finally {
    busy = false;
    if (again) {
      const next = state.more && state.after;
      again = state.more = false;
      setTimeout(look, pressed || dragged ? 100 : 0, Boolean(next));
    }
  }
};
const lookAnew = () => { state.known = null; state.more = false; state.epoch += 1; look(); };

// What changes the queue is told to the page, which then watches it.
const act = async (does, values = {}) => {
  const answer = await ask("act", { does, ...values });
  complain(answer.error);
  lookAnew();
  if (!["star", "tag", "log", "recipe", "folder"].includes(does)) document.getElementById("look-again")?.click();
  return answer;
};

const showUndo = () => {
  clearTimeout(fading);
  const count = state.deleted.length;
  undo.hidden = !count;
  undo.firstElementChild.textContent =
    count === 1 ? texts.deleted_one : fill(texts.deleted_many, { count });
  fading = setTimeout(() => { state.deleted = []; showUndo(); }, undoSeconds * 1000);
  if (!count) clearTimeout(fading);
};

const neighbours = (job) => {
  const rows = [...queue.querySelectorAll(".row.queued")].map((row) => row.dataset.key);
  return [rows, rows.indexOf(job)];
};

const does = {
  choose: ({ job }) => trigger("choose", { job }),
  edit: ({ job }) => trigger("edit", { job }),
  compare: ({ job }) => window.wanStudio.compare(job),
  again: async ({ job }) => { await act("again", { job }); trigger("choose", { job }); },
  up: ({ job }) => {
    const [rows, at] = neighbours(job);
    if (at > 0) act("move", { job, before: rows[at - 1] });
  },
  down: ({ job }) => {
    const [rows, at] = neighbours(job);
    if (at < rows.length - 1) act("move", { job, before: rows[at + 2] || "" });
  },
  "cancel-all": () => { if (confirm(texts.confirm_cancel_all)) act("cancel-all"); },
  star: ({ job }, button) => act("star", { job, on: button.getAttribute("aria-pressed") !== "true" }),
  delete: async ({ job }) => {
    if ((await act("delete", { job })).undo) { state.deleted.push(job); showUndo(); }
  },
  undo: async () => {
    const jobs = state.deleted;
    state.deleted = [];
    showUndo();
    for (const job of jobs) await act("undo", { job });
  },
  dismiss: () => { state.deleted = []; showUndo(); },
  log: async ({ job }) => {
    part("dialog pre").textContent = (await act("log", { job })).log;
    part("dialog").showModal();
  },
  recipe: async ({ job }) => {
    const { log } = await act("recipe", { job });
    part("dialog pre").textContent = `${log}\n${location.origin}${location.pathname}?job=${job}`;
    part("dialog").showModal();
  },
  "by-tag": ({ tag }) => {
    if (![...form.tag.options].some((option) => option.value === tag)) form.tag.add(new Option(tag, tag));
    form.tag.value = tag;
    lookAnew();
  },
  favourites: (_, button) => {
    state.favourites = !state.favourites;
    button.setAttribute("aria-pressed", String(state.favourites));
    lookAnew();
  },
  clear: () => {
    form.reset();
    state.favourites = false;
    part("[data-does=favourites]").setAttribute("aria-pressed", "false");
    lookAnew();
  },
  more: () => look(true),
};

// Nothing is exchanged under a finger that is down: its click would be lost.
element.addEventListener("pointerdown", () => { pressed = true; });
for (const name of ["pointerup", "pointercancel", "dragend"]) {
  window.addEventListener(name, () => { pressed = false; });
}

element.addEventListener("click", (event) => {
  const menu = event.target.closest("details.menu");
  for (const open of element.querySelectorAll("details.menu[open]")) if (open !== menu) open.open = false;
  const button = event.target.closest("button[data-does]");
  if (!button) return;
  if (menu) menu.open = false;
  const { does: name, job } = button.dataset;
  if (name in does) does[name](button.dataset, button);
  else act(name, { job });
});
element.addEventListener("keydown", (event) => {
  const menu = event.target.closest("details.menu[open]");
  if (event.key === "Escape" && menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
    event.stopPropagation();
  }
  if (event.key === "Enter" && event.target.closest(".tag-input")) {
    menu.open = false;
    act("tag", { job: event.target.dataset.job, tags: event.target.value });
  }
});
form.addEventListener("input", (event) => {
  clearTimeout(typing);
  typing = setTimeout(lookAnew, event.target.type === "search" ? 200 : 0);
});

// Order by dragging; the buttons do the same.
queue.addEventListener("dragstart", (event) => {
  dragged = event.target.closest(".row.queued");
  if (!dragged) return;
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setData("text/plain", dragged.dataset.key);
  dragged.classList.add("dragged");
});
queue.addEventListener("dragover", (event) => {
  const row = event.target.closest(".row");
  if (!dragged || !row) return;
  event.preventDefault();
  if (row === dragged || !row.classList.contains("queued")) return;
  const { top, height } = row.getBoundingClientRect();
  queue.insertBefore(dragged, event.clientY < top + height / 2 ? row : row.nextSibling);
});
queue.addEventListener("drop", (event) => event.preventDefault());
queue.addEventListener("dragend", () => {
  if (!dragged) return;
  const moved = dragged;
  dragged = null;
  moved.classList.remove("dragged");
  act("move", { job: moved.dataset.key, before: moved.nextElementSibling?.dataset.key || "" });
});

// A thumbnail plays while the pointer or the focus is on it.
const still = window.matchMedia("(prefers-reduced-motion: reduce)");
const play = (event) => {
  const image = event.target.closest?.(".card .open")?.querySelector("img");
  if (!image || image.still || still.matches) return;
  if (image.dataset.moving) {
    image.still = image.getAttribute("src");
    image.src = image.dataset.moving;
  } else if (image.dataset.video) {
    image.still = image.getAttribute("src");
    const video = Object.assign(document.createElement("video"),
      { src: image.dataset.video, muted: true, loop: true, autoplay: true, playsInline: true });
    image.after(video);
  }
};
const rest = (event) => {
  const button = event.target.closest?.(".card .open");
  const image = button?.querySelector("img");
  if (!image?.still || button.contains(event.relatedTarget)) return;
  image.nextElementSibling?.matches("video") && image.nextElementSibling.remove();
  image.src = image.still;
  image.still = null;
};
past.addEventListener("pointerover", (event) => { if (event.pointerType !== "touch") play(event); });
past.addEventListener("pointerout", rest);
past.addEventListener("focusin", (event) => { if (event.target.matches(":focus-visible")) play(event); });
past.addEventListener("focusout", rest);

watch("value", () => { mark(); if (inSight()) look(); });
new IntersectionObserver((entries) => {
  if (entries.some((entry) => entry.isIntersecting)) look();
}).observe(part(".head"));
