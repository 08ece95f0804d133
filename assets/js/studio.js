// What the page does in the browser itself: Ctrl+Enter, looking again after a pause, filling the form.
(() => {
  // What was typed before the form is filled stays, see `fill`.
  const changed = new Set();
  const note = (event) => {
    const place = event.target.closest?.(".field, .seed-row .icon, .examples");
    if (place) changed.add(place.id.replace("-examples", "-prompt"));
  };
  document.addEventListener("input", note, true);
  document.addEventListener("change", note, true);
  document.addEventListener("pointerdown", (event) => {
    if (event.target.closest?.('[role="tab"]')) changed.clear();
    if (event.target.closest?.(".field-model, .seed-row .icon, .examples button")) note(event);
  }, true);

  const seen = (selector) => [...document.querySelectorAll(selector)].find((part) => part.offsetParent);
  const PROMPT = "form-prompt";
  const numberIn = (choice) => Number(choice.textContent.match(/\d+(?=\s*$)/)[0]);
  const NOTHING = { __type__: "update" };
  let filled = "";
  let wanted = null; // the tab that a person went to last, which the form may not stand for yet
  let begun = false; // what is remembered has come, or will not
  let ready = false, settled = false; // nothing that the form is filled with is on its way
  let unmeasured = null; // the tab that was given a video meanwhile

  window.wanStudio = {
    pulses: {}, // events of the form by name, see `lay_out`: each has one handler, which is asked in turn
    begin() { begun = true; },
    go(key) {
      wanted = key;
      return this.sleep();
    },
    // Where the form is to follow to: nowhere before it has begun, or what is remembered would be lost on it.
    wanted: () => (begun ? wanted : null),
    // Generate waits until the form is filled with what was asked for.
    sleep() {
      settled = false;
      return { __type__: "update", interactive: false };
    },
    // The clip is to be as long as the video just given; what fills the form now would set it back.
    measure(key) {
      if (settled) this.pulses.measure();
      else unmeasured = key;
      return this.sleep();
    },
    // Updates by name, applied once. The settings used last arrive a moment after the page: once anything
    // besides the prompt was chosen, the whole form stays, as its parts depend on each other. What was asked
    // for another tab, model, resolution or shift than the form now stands for comes too late.
    fill({ id, kept, about, goes, updates }, active, model, resolution, shift) {
      const again = id === filled;
      filled = id;
      if (goes) wanted = goes;
      const moved = about.tab && about.tab !== active;
      const isOther = (name, now) => about[name] && about[name] !== now;
      const asksAgain = isOther("model", model) || isOther("resolution", resolution); // and that is on its way
      const chosen = kept === "all" && [...changed].some((name) => name !== PROMPT);
      const late = again || chosen || moved || asksAgain || isOther("shift", shift);
      const stays = (name) => late || (kept && name === PROMPT && changed.has(name));
      const applied = updates.map(([name, update]) => (!update || stays(name) ? NOTHING : update));
      ready = begun && (again || !asksAgain) && (wanted ?? active) === active;
      const wakes = ready && unmeasured !== active;
      return [...applied, wakes ? { __type__: "update", interactive: true } : NOTHING]; // Generate
    },
    // On a slow line people go to another tab before the form is filled: then it follows once more.
    settle(active) {
      if (begun && (wanted ?? active) !== active) { this.pulses.switch(); return; }
      if (!ready) return;
      if (unmeasured === active) {
        unmeasured = null;
        this.pulses.measure();
        return;
      }
      settled = true;
      this.pulses.look(); // which then tells
    },
    // The number that a quality's title ends with: at once, as Generate may be clicked in the same moment.
    stepsOf(quality) {
      const choice = document.querySelector(`#form-quality input[value="${quality}"]`).closest("label");
      return numberIn(choice);
    },
    qualityOf(steps) {
      const choices = [...document.querySelectorAll("#form-quality label")];
      return choices.find((choice) => numberIn(choice) === steps)?.querySelector("input").value ?? null;
    },
    // A queue that was dropped or opened is for the history, whose script may only come with its tab.
    takeQueue(file) {
      this.queueGiven = file;
      document.getElementById("history-tab-button").click();
      this.queueCame?.();
    },
    // The form is there in the tabs that make something.
    show(makes) {
      document.getElementById("form").classList.toggle("away", !makes);
    },
  };

  const narrow = window.matchMedia("(max-width: 760px)");

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    if (document.querySelector("dialog[open]")) return;
    event.preventDefault();
    event.stopPropagation();
    seen("button.generate")?.click();
  }, true);

  // The timer sleeps while nothing runs; another page may have started something since.
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) document.getElementById("look-again")?.click();
  });

  // The form no longer stands for a waiting job.
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.(".leave-editing")) return;
    const kept = document.querySelector("#editing textarea, #editing input");
    kept.value = "";
    kept.dispatchEvent(new Event("input", { bubbles: true }));
    event.target.closest(".note").remove();
  });

  // A button that is only a picture says its name to the pointer.
  document.addEventListener("mouseover", (event) => {
    const button = event.target.closest?.("button.icon");
    if (button && !button.title) button.title = button.textContent.trim();
  });

  // On a phone the panel lies below the form: bring it into view when there is something to see.
  document.addEventListener("click", (event) => {
    if (!narrow.matches || !event.target.closest(".generate, #history button.open")) return;
    setTimeout(() => {
      if (!seen(".notice .alert")) {
        document.getElementById("panel")?.scrollIntoView({ behavior: "smooth", block: "start" });
      }
    }, 400);
  });
})();
