// What stands at the beginning of the scripts that show what the model sees; each is a block of its own.
// The studio tells everything at once; of that only `crops` stays, as what is held is sent with every event.
const part = (selector) => element.querySelector(selector);
const fill = (text, values) => text.replace(/{(\w+)}/g, (_, name) => values[name]);
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const WAITING = 4000, TYPING = 250;
const showers = [];
let crops = null;

const read = () => {
  const told = props.value || {};
  if (!("views" in told)) { // the form is filled, or this is what was just kept
    if (JSON.stringify(told.crops) === JSON.stringify(crops)) return;
    crops = told.crops ?? {};
    for (const show of showers) show(null);
    return;
  }
  crops ??= told.crops ?? {};
  for (const show of showers) show(told);
  props.value = { crops };
};

const begin = () => {
  watch("value", read);
  read();
};
