// The part of a video that is used: a strip of its frames with two handles.
// The studio tells what there is; what is dragged is told back. `texts` is written before this.
const box = part(".timeline"), track = part(".track"), film = part(".film");
const handles = { from: part(".handle.from"), to: part(".handle.to") };
const figures = { from: part("figure.from"), to: part("figure.to") };

let clip = null, start = 0, end = 0, held = null, sent = null, later = null;

// -- frames of the video, one after the other: those that are looked at before those of the strip ------------
const finder = Object.assign(document.createElement("video"),
  { muted: true, preload: "auto", playsInline: true, disableRemotePlayback: true });
const wanted = new Map(); // what is to be painted -> the number of its frame
let painting = null, patience = null;

const middleOf = (frame) => clamp((frame + 0.5) / clip.rate, 0, Math.max(clip.seconds - 0.001, 0));
const find = () => {
  if (painting || !clip || finder.readyState < 1 || !wanted.size) return;
  const [name, frame] = [...wanted].find(([key]) => key in figures) ?? [...wanted][0];
  wanted.delete(name);
  painting = name;
  patience = setTimeout(found, WAITING); // a file that cannot be sought in
  finder.currentTime = middleOf(frame);
};
const found = () => {
  clearTimeout(patience);
  const name = painting;
  painting = null;
  if (!clip || name === null) return;
  if (finder.readyState >= 2) (name in figures ? paintFigure : paintTile)(name);
  find();
};
const paintFigure = (name) => {
  const canvas = figures[name].querySelector("canvas"), { videoWidth: width, videoHeight: height } = finder;
  const scale = Math.min(1, 224 / width, 128 / height);
  Object.assign(canvas, { width: Math.round(width * scale), height: Math.round(height * scale) });
  canvas.getContext("2d").drawImage(finder, 0, 0, canvas.width, canvas.height);
};
const tiles = () => {
  const shape = finder.videoWidth / finder.videoHeight || 1;
  return clamp(Math.ceil(track.clientWidth / (track.clientHeight * shape)), 1, 24);
};
const paintTile = (number) => {
  const width = Math.ceil(film.width / tiles()), { videoWidth, videoHeight } = finder; // no seams
  const scale = Math.max(width / videoWidth, film.height / videoHeight);
  const [w, h] = [width / scale, film.height / scale];
  film.getContext("2d").drawImage(finder, (videoWidth - w) / 2, (videoHeight - h) / 2, w, h,
    Math.floor(number * film.width / tiles()), 0, width, film.height);
};
const rollFilm = () => {
  if (!clip || finder.readyState < 1 || !track.clientWidth) return;
  Object.assign(film, { width: track.clientWidth * devicePixelRatio, height: track.clientHeight * devicePixelRatio });
  const count = tiles();
  for (const key of wanted.keys()) if (!(key in figures)) wanted.delete(key);
  for (let number = 0; number < count; number += 1) wanted.set(number, Math.floor(frames() * (number + 0.5) / count));
  find();
};
finder.onseeked = found;
finder.onerror = () => { if (clip) draw(); }; // the model can use what this browser cannot show
finder.onloadedmetadata = () => { rollFilm(); draw(); };

// -- times and frames ------------------------------------------------------------------------------------
const frames = () => Math.max(Math.round(clip.seconds * clip.rate), 1);
const frameOf = (time) => Math.round(time * clip.rate);
// The last whole millisecond before a frame: what begins there begins with it.
const timeOf = (frame) => (frame >= frames() ? clip.seconds : Math.floor(frame / clip.rate * 1000 + 1e-6) / 1000);
const isWhole = () => frameOf(start) <= 0 && frameOf(end) >= frames();

// How many frames the clip is made of: 4n+1 of those in the part, at its own rate.
const taken = () => {
  const there = Math.max(Math.floor((Math.round((end - start) * clip.fps) - 1) / 4) * 4 + 1, 1);
  return clip.frames ? Math.min(there, clip.frames) : there;
};

const draw = () => {
  if (!clip) return;
  const count = taken(), last = clip.frames ? Math.min(start + count / clip.fps, end) : end;
  const first = Math.min(Math.ceil(start * clip.rate - 1e-3), frames() - 1);
  const final = clip.frames ? frameOf(start + (count - 1) / clip.fps) : Math.ceil(end * clip.rate) - 1;
  for (const [name, time] of [["--from", start], ["--to", end], ["--taken", last]]) {
    box.style.setProperty(name, `${clamp(time / clip.seconds, 0, 1) * 100}%`);
  }
  const place = { from: first, to: clamp(Math.ceil(end * clip.rate - 1e-3) - 1, first, frames() - 1) };
  for (const [name, time] of [["from", start], ["to", end]]) {
    const said = fill(texts.at, { seconds: time.toFixed(2), frame: place[name] });
    const bounds = name === "from" ? [0, end] : [start, clip.seconds];
    for (const [key, value] of Object.entries({
      valuemin: bounds[0].toFixed(3), valuemax: bounds[1].toFixed(3), valuenow: time.toFixed(3), valuetext: said,
    })) handles[name].setAttribute(`aria-${key}`, value);
    figures[name].querySelector("span").textContent = said;
  }
  const early = clip.frames && last < end - 0.6 / clip.fps;
  part(".last").textContent = early ? fill(texts.last, { seconds: last.toFixed(2) }) : "";
  const words = !clip.frames ? texts.chosen : early ? texts.taken_part : texts.taken;
  part(".taken").textContent = fill(words, {
    chosen: (end - start).toFixed(2), seconds: clip.seconds.toFixed(2), frames: count, fps: clip.fps,
  });
  part(".unplayable").hidden = !finder.error;
  part(".whole").disabled = isWhole();
  wanted.set("from", first);
  wanted.set("to", clamp(final, first, place.to));
  find();
};

// -- moved by hand ------------------------------------------------------------------------------------------
const inMilliseconds = (time) => Number(time.toFixed(3));
const endTold = () => (frameOf(end) >= frames() ? null : end);
const tell = () => {
  clearTimeout(later);
  later = null;
  if (!clip) return;
  sent = { start, end: endTold(), at: Date.now() };
  window.wanStudio.part = [inMilliseconds(start), sent.end === null ? "" : String(inMilliseconds(sent.end))];
  trigger("trim"); // written into From and To in the browser, as Generate may be clicked in the same moment
};

// Put a handle, or both, at a frame; one frame at least stays between them.
const move = (name, frame) => {
  const [from, to] = [frameOf(start), Math.min(frameOf(end), frames())];
  if (name === "from") start = timeOf(clamp(frame, 0, Math.max(to - 1, 0)));
  if (name === "to") end = timeOf(clamp(frame, from + 1, frames()));
  if (name === "both") {
    const left = clamp(frame, 0, frames() - (to - from));
    [start, end] = [timeOf(left), timeOf(left + to - from)];
  }
  draw();
};

const timeAt = (event) => {
  const { left, width } = track.getBoundingClientRect();
  return (event.clientX - left) / width * clip.seconds;
};
track.addEventListener("pointerdown", (event) => {
  if (!clip || event.button !== 0 || held) return;
  const time = timeAt(event);
  const name = event.target === handles.from ? "from" : event.target === handles.to ? "to"
    : event.target.matches(".chosen") && !isWhole() ? "both"
    : Math.abs(time - start) <= Math.abs(time - end) ? "from" : "to";
  const grip = event.target.matches(".handle") || name === "both"; // else it jumps to the pointer
  held = { name, id: event.pointerId, off: grip ? time - (name === "to" ? end : start) : 0, was: [start, end] };
  track.setPointerCapture(event.pointerId);
  if (name !== "both") handles[name].focus({ preventScroll: true });
  event.preventDefault();
  if (!grip) move(name, frameOf(time));
});
track.addEventListener("pointermove", (event) => {
  if (held?.id === event.pointerId) move(held.name, frameOf(timeAt(event) - held.off));
});
for (const name of ["pointerup", "pointercancel"]) {
  track.addEventListener(name, (event) => {
    if (held?.id !== event.pointerId) return;
    const [from, to] = held.was;
    held = null;
    if (from !== start || to !== end) tell();
  });
}

const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -Infinity, PageUp: Infinity };
for (const [name, handle] of Object.entries(handles)) {
  handle.addEventListener("keydown", (event) => {
    if (!clip || event.ctrlKey || event.metaKey || event.altKey) return;
    const second = Math.max(Math.round(clip.rate), 1), step = STEPS[event.key];
    const frame = frameOf(name === "from" ? start : end);
    if (event.key === "Home" || event.key === "End") move(name, event.key === "Home" ? 0 : frames());
    else if (step) move(name, frame + Math.sign(step) * (event.shiftKey || !Number.isFinite(step) ? second : 1));
    else return;
    event.preventDefault();
    clearTimeout(later);
    later = setTimeout(tell, TYPING);
  });
  handle.addEventListener("blur", () => { if (later) tell(); });
}
part(".whole").onclick = () => {
  [start, end] = [0, clip.seconds];
  draw();
  tell();
  handles.from.focus({ preventScroll: true });
};

// What is typed or pasted into the fields is shown at once.
const key = box.closest('[id$="-seen"]').id.replace(/seen$/, "");
document.addEventListener("input", (event) => {
  const name = ["start", "end"].find((side) => clip && event.target.closest?.(`#${key}video_${side}`));
  const text = name ? event.target.value.trim() : "", time = Number(text);
  if (!name || !(time >= 0) || (name === "start" && !text)) return;
  sent = { start, end: endTold(), at: Date.now(), [name]: text ? time : null };
  if (name === "start") start = clamp(time, 0, clip.seconds);
  else end = clamp(text ? time : clip.seconds, start, clip.seconds);
  draw();
});

// The clip's length is chosen elsewhere in the form.
document.addEventListener("input", (event) => {
  const length = clip?.frames && event.target.closest?.("#form-num_frames") && Number(event.target.value);
  if (length > 0) { clip.frames = length; draw(); }
});

// -- told by the studio --------------------------------------------------------------------------------------
const near = (one, other) => one === other || Math.abs(one - other) < 0.002;
const isSent = (told) => near(told.start, sent.start) && (told.end === null ? sent.end === null : near(told.end, sent.end));

showers.push((value) => {
  if (!value) return;
  const told = value.clip;
  box.hidden = !told;
  if (!told) {
    clip = held = null;
    wanted.clear();
    finder.removeAttribute("src");
    return;
  }
  const fresh = clip?.src !== told.src;
  clip = { ...told };
  if (fresh) {
    held = sent = null;
    wanted.clear();
    painting = null;
    for (const canvas of box.querySelectorAll("canvas")) canvas.width = canvas.width; // empty it
    film.width = 0;
    if (told.src) finder.src = told.src;
  }
  if (sent && (isSent(told) || Date.now() - sent.at > WAITING)) sent = null;
  if (!held && !later && !sent) { // else what is in the hand counts
    start = clamp(told.start, 0, clip.seconds);
    end = clamp(told.end ?? clip.seconds, start, clip.seconds);
  }
  draw();
});
new ResizeObserver(() => { if (film.width !== track.clientWidth * devicePixelRatio) rollFilm(); }).observe(track);
