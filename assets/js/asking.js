// Shared by the components that the browser draws; stands before their own script, in the same scope.

// Questions go as events and their answers come as the property `told`: one at a time, so that none is lost.
const [told] = Object.keys({ told: [] }); // in quotes, Gradio would take the property for an event
let asked = 0, turn = Promise.resolve(), answered = null;
const ask = (door, values) => {
  const mine = turn.then(() => new Promise((resolve) => {
    const number = ++asked;
    const late = setTimeout(() => answered({ number, error: "" }), 20000);
    answered = (answer) => {
      if (answer?.number !== number) return;
      clearTimeout(late);
      answered = null;
      resolve(answer);
    };
    trigger("ask", { door, asked: values, number });
  }));
  turn = mine;
  return mine;
};
watch(told, () => answered?.(props.told));

const fill = (text, values) => text.replace(/{(\w+)}/g, (_, name) => values[name]);
