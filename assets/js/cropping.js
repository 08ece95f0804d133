// A frame on each picture, which chooses the part of it that is used. `texts` is written before this.
const SMALLEST = 0.05, PIXELS = 16, SAME = 0.002, STEP = 0.01, ZOOM = 1.05, WORTH_A_LOOK = 0.05;
const words = part(".words"), opener = part("button.crop");
const sheets = part(".crops"), shown = part(".shown"), pattern = part("template");
const figures = new Map(); // field -> what draws its frame
let views = [], open = false, later = null;

const WHOLE = [0, 0, 1, 1];
const isSame = (one, other) => one.every((edge, at) => Math.abs(edge - other[at]) < SAME);
const chosen = ({ field, of }) => (crops[field]?.of === of ? crops[field].box : null);

// Height of a box of one width, both in shares of the picture's sides; null where any height will do.
const slope = ({ aspect, width, height }) => (aspect ? width / (height * aspect) : null);

// The middle of a box that has the aspect asked for: what the model sees of it.
const inside = (view, [left, top, right, bottom]) => {
  const steep = slope(view);
  if (!steep) return [left, top, right, bottom];
  const wide = Math.min(right - left, (bottom - top) / steep), high = wide * steep;
  const [x, y] = [(left + right - wide) / 2, (top + bottom - high) / 2];
  return [x, y, x + wide, y + high];
};
const used = (view) => inside(view, chosen(view) ?? WHOLE);

const tell = () => {
  clearTimeout(later);
  later = null;
  props.value = { crops };
  trigger("input");
};
const choose = (view, box) => {
  const { [view.field]: _, ...others } = crops;
  const whole = isSame(box, inside(view, WHOLE));
  const edges = box.map((edge) => Number(clamp(edge, 0, 1).toFixed(5)));
  crops = whole ? others : { ...others, [view.field]: { of: view.of, box: edges } };
  draw(view);
};

const moved = ([left, top, right, bottom], x, y) => {
  const [wide, high] = [right - left, bottom - top];
  const [to, down] = [clamp(x, 0, 1 - wide), clamp(y, 0, 1 - high)];
  return [to, down, to + wide, down + high];
};

// The narrowest and lowest that a frame may be.
const least = (view) => {
  const [wide, high] = [view.width, view.height].map((side) => clamp(PIXELS / side, SMALLEST, 1));
  const steep = slope(view);
  return steep ? [Math.max(wide, high / steep), Math.max(high, wide * steep)] : [wide, high];
};

// Pull a corner to (x, y); the opposite one stays. `east` and `south` say which corner it is.
const pulled = (view, [left, top, right, bottom], east, south, x, y) => {
  const [ax, ay] = [east ? left : right, south ? top : bottom], steep = slope(view);
  const room = [east ? 1 - ax : ax, south ? 1 - ay : ay];
  const [narrow, low] = least(view);
  let wide = clamp(east ? x - ax : ax - x, narrow, room[0]), high = clamp(south ? y - ay : ay - y, low, room[1]);
  if (steep) {
    wide = clamp(Math.max(wide, high / steep), narrow, Math.min(room[0], room[1] / steep));
    high = wide * steep;
  }
  const [l, t] = [east ? ax : ax - wide, south ? ay : ay - high];
  return [l, t, l + wide, t + high];
};

const zoomed = (view, [left, top, right, bottom], by) => {
  const steep = slope(view), most = steep ? Math.min(1, 1 / steep) : 1;
  const [narrow, low] = least(view);
  const wide = clamp((right - left) * by, narrow, most);
  const high = steep ? wide * steep : clamp((bottom - top) * by, low, 1);
  const [l, t] = [(left + right - wide) / 2, (top + bottom - high) / 2];
  return moved([l, t, l + wide, t + high], l, t);
};

// How many times wider than what the clip shows of it, its sides being multiples of 16, a box is.
const wider = ({ width, height, cut }, [left, top, right, bottom]) =>
  cut ? ((right - left) * width) / ((bottom - top) * height) / cut : 1;
const drawCut = (line, times) => {
  line.hidden = Math.abs(times - 1) < 0.01;
  const [x, y] = [Math.max(1 - 1 / times, 0) * 50, Math.max(1 - times, 0) * 50];
  line.style.inset = `${y}% ${x}%`;
};

const draw = (view) => {
  const figure = figures.get(view.field), [left, top, right, bottom] = used(view);
  const frame = figure.querySelector(".window");
  Object.assign(frame.style, {
    left: `${left * 100}%`, top: `${top * 100}%`, width: `${(right - left) * 100}%`, height: `${(bottom - top) * 100}%`,
  });
  const [wide, high] = [right - left, bottom - top], percent = Math.round(wide * high * 100);
  drawCut(frame.querySelector(".cut"), wider(view, [left, top, right, bottom]));
  frame.setAttribute("aria-valuenow", percent);
  frame.setAttribute("aria-valuetext", fill(texts.at, {
    percent, left: Math.round(left * 100), top: Math.round(top * 100),
  }));
  figure.querySelector(".size").textContent = fill(texts.size, {
    width: Math.round(wide * view.width), height: Math.round(high * view.height),
    whole_width: view.width, whole_height: view.height,
  });
  figure.querySelector(".whole").disabled = !chosen(view);
};

// -- by hand -------------------------------------------------------------------------------------------------
const listen = (figure, field) => {
  const sheet = figure.querySelector(".sheet"), frame = figure.querySelector(".window");
  const viewNow = () => views.find((view) => view.field === field);
  let held = null;

  const at = (event) => {
    const { left, top, width, height } = sheet.getBoundingClientRect();
    return [(event.clientX - left) / width, (event.clientY - top) / height];
  };
  sheet.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || held) return;
    const [x, y] = at(event), box = used(viewNow()), corner = event.target.closest(".corner");
    const middle = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
    const grip = corner || event.target === frame;
    held = { id: event.pointerId, corner: corner?.className, was: box, off: grip ? [x, y] : middle };
    sheet.setPointerCapture(event.pointerId);
    frame.focus({ preventScroll: true });
    event.preventDefault();
    drag(event);
  });
  const drag = (event) => {
    const view = viewNow(), [x, y] = at(event), { was, off, corner } = held;
    const [dx, dy] = [x - off[0], y - off[1]];
    if (!corner) return choose(view, moved(was, was[0] + dx, was[1] + dy));
    const [east, south] = [/e$/.test(corner), /corner s/.test(corner)];
    choose(view, pulled(view, was, east, south, was[east ? 2 : 0] + dx, was[south ? 3 : 1] + dy));
  };
  sheet.addEventListener("pointermove", (event) => { if (held?.id === event.pointerId) drag(event); });
  for (const name of ["pointerup", "pointercancel"]) {
    sheet.addEventListener(name, (event) => {
      if (held?.id !== event.pointerId) return;
      const { was } = held;
      held = null;
      if (!was.every((edge, side) => edge === used(viewNow())[side])) tell();
    });
  }

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const ZOOMS = { "+": -1, "=": -1, "-": 1, "−": 1, _: 1 };
  frame.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const view = viewNow(), box = used(view), arrow = ARROWS[event.key], zoom = ZOOMS[event.key];
    const times = event.shiftKey && arrow ? 10 : 1;
    if (arrow) choose(view, moved(box, box[0] + arrow[0] * STEP * times, box[1] + arrow[1] * STEP * times));
    else if (zoom) choose(view, zoomed(view, box, ZOOM ** zoom));
    else return;
    event.preventDefault();
    clearTimeout(later);
    later = setTimeout(tell, TYPING);
  });
  frame.addEventListener("blur", () => { if (later) tell(); });
  figure.querySelector(".whole").onclick = () => {
    choose(viewNow(), inside(viewNow(), WHOLE));
    tell();
    frame.focus({ preventScroll: true });
  };
};

// -- told by the studio ----------------------------------------------------------------------------------------
const figureOf = ({ field, title, src }) => {
  let figure = figures.get(field);
  if (!figure) {
    figure = pattern.content.firstElementChild.cloneNode(true);
    figure.dataset.field = field;
    figures.set(field, figure);
    listen(figure, field);
  }
  const picture = figure.querySelector("img");
  if (picture.getAttribute("src") !== src) picture.src = src;
  figure.querySelector("b").textContent = title;
  figure.querySelector(".window").setAttribute("aria-label", fill(texts.window, { name: title }));
  return figure;
};

const lay = () => {
  const isCut = (view) => chosen(view) || Math.abs(Math.log(wider(view, WHOLE))) > WORTH_A_LOOK;
  const out = views.length > 0 && (open || views.some(isCut));
  opener.hidden = !views.length || out;
  sheets.hidden = !out;
  for (const view of views) draw(view);
};
opener.onclick = () => {
  open = true;
  lay();
  sheets.querySelector(".window")?.focus({ preventScroll: true });
};

showers.push((value) => {
  if (value) {
    if (words.told !== value.told) words.innerHTML = words.told = value.told;
    if (shown.told !== value.shown) shown.innerHTML = shown.told = value.shown;
    const before = views.map(({ field }) => field).join();
    views = value.views;
    if (!views.length) open = false;
    const drawn = views.map(figureOf);
    if (views.map(({ field }) => field).join() !== before) sheets.replaceChildren(...drawn);
  }
  lay();
});
