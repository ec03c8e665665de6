// Keys: those of the classes and of the page, on any keyboard, and those pressed in the field that finds a class.

import * as classes from "./classes.js";
import * as dialogs from "./dialogs.js";
import * as grid from "./grid.js";

const IN_EMPTY_FIELD = new Set([" ", "Backspace", "ArrowLeft", "ArrowRight"]);
const MAY_REPEAT = new Set(["ArrowLeft", "ArrowRight"]);

let actions = {}; // key -> what it does, but for the keys of classes
let onAnswer = () => {};
let onNew = () => {};

export function listen(given) {
  ({ actions, onAnswer, onNew } = given);
  document.addEventListener("keydown", pressed);
}

function actionOf(key) {
  const name = classes.byKey(key);
  return actions[key] || (name !== undefined && (() => onAnswer(name)));
}

// What a key may stand for: its sign, the same with Caps Lock, or, on keyboards whose digits need Shift or whose letters
// are not Latin, what is at its place.
function candidates(event) {
  const place = /^(?:Key|Digit|Numpad)([A-Z0-9])$/.exec(event.code);
  const isLatin = /^[a-z0-9]$/i.test(event.key);
  return [event.key, event.key.toLowerCase(), ...(place && !isLatin ? [place[1].toLowerCase()] : [])];
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || dialogs.isOpen()) return;
  if (grid.isOpen()) return grid.key(event);
  if (classes.isFiltering()) return pressedInField(event);
  const isOnControl = event.target.closest("button, input, select") && event.target.matches(":focus-visible");
  if (isOnControl && (event.key === " " || event.key === "Enter")) return; // the control's own keys
  const act = candidates(event).map(actionOf).find(Boolean);
  if (!act) return;
  event.preventDefault();
  if (!event.repeat || MAY_REPEAT.has(event.key)) act();
}

// Whatever is typed belongs to the field. Keys that do nothing in an empty field keep their meaning there.
function pressedInField(event) {
  const isEmpty = !classes.typed();
  if (event.key === "Escape") {
    classes.clearFilter();
    document.activeElement.blur();
  } else if (event.key === "Enter" && !isEmpty) {
    const found = classes.first();
    if (found !== undefined && !event.repeat) onAnswer(found);
    else if (classes.offersNew()) onNew(classes.typed());
  } else if (isEmpty && IN_EMPTY_FIELD.has(event.key)) {
    if (!event.repeat || MAY_REPEAT.has(event.key)) actions[event.key]();
  } else return;
  event.preventDefault();
}
