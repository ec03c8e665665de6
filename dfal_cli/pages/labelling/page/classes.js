// The classes as buttons with their keys, and the field that finds one by typing.

const box = document.getElementById("classes");
const field = document.getElementById("filter");
const row = document.getElementById("filter-row");
const none = document.getElementById("no-classes");

const MANY = 12; // more classes stand in two columns
const MOST_WITHOUT_FIELD = 15;
const MOST_SHOWN = 300;

let classes = []; // {name, key, count}
let shown = [];
let pressed = "";
let guessed = "";
let isOwnFocus = false; // whether the person went to the field; with more classes than keys, the page goes there itself

export const byKey = key => classes.find(each => each.key === key)?.name;
export const names = () => classes.map(each => each.name);

// The angle between neighbouring colours keeps them apart, however many there are.
export function hue(name) {
  const place = classes.findIndex(each => each.name === name);
  return place < 0 ? "var(--soft)" : `oklch(var(--light) .15 ${(255 + place * 137.508) % 360})`;
}

export function listen({ onAnswer, onNew }) {
  box.addEventListener("click", event => {
    const button = event.target.closest("button");
    if (button?.dataset.name !== undefined) onAnswer(button.dataset.name);
    else if (button) onNew(field.value.trim());
  });
  field.addEventListener("input", draw);
  for (const event of ["focus", "pointerdown"]) field.addEventListener(event, () => (isOwnFocus = true));
  row.querySelector("kbd").addEventListener("click", () => field.focus());
}

// The buttons stay where they are while only counts change, so that the focus stays, too.
export function update(list) {
  const layout = each => `${each.key}${each.name}`;
  const isSame = list.map(layout).join("\n") === classes.map(layout).join("\n");
  classes = list;
  row.hidden = classes.length <= MOST_WITHOUT_FIELD;
  field.placeholder = `Find one of ${classes.length} classes`;
  none.hidden = classes.length > 0;
  if (isSame) count();
  else draw();
}

function count() {
  const counts = new Map(classes.map(each => [each.name, each.count]));
  const most = Math.max(1, ...counts.values());
  for (const button of buttons()) {
    const output = button.querySelector("output");
    const answers = counts.get(button.dataset.name);
    output.textContent = answers || "";
    output.ariaLabel = `${answers} answers`;
    button.style.setProperty("--share", answers / most);
  }
}

export function mark(label, guess) {
  pressed = label;
  guessed = guess || "";
  for (const button of buttons()) {
    button.setAttribute("aria-pressed", String(button.dataset.name === pressed));
    button.classList.toggle("guessed", Boolean(guessed) && button.dataset.name === guessed);
  }
}

export function flash(name) {
  const button = buttons().find(each => each.dataset.name === name);
  if (!button) return;
  button.classList.remove("chosen");
  void button.offsetWidth; // starts the animation again
  button.classList.add("chosen");
}

export const hasMoreThanKeys = () => classes.some(each => !each.key);
export const isFiltering = () => document.activeElement === field;
export const hasField = () => !row.hidden;
export const focusFilter = () => field.focus();
export const first = () => shown[0]?.name;
export const offersNew = () => isOwnFocus && !shown.length;
export const typed = () => field.value.trim();

export function clearFilter() {
  if (!field.value) return; // a button that has the focus stays
  field.value = "";
  draw();
}

// After an answer: the next class is typed at once if there are more classes than keys; else the keys answer.
export function restFilter() {
  clearFilter();
  const isNext = hasMoreThanKeys() && matchMedia("(pointer: fine)").matches;
  if (isNext) field.focus();
  else field.blur();
  isOwnFocus = false;
}

const buttons = () => [...box.children].filter(each => each.dataset.name !== undefined);

const plain = text => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

function draw() {
  const wanted = plain(field.value.trim());
  const rank = each => (plain(each.name).startsWith(wanted) ? 0 : 1);
  shown = wanted ? classes.filter(each => plain(each.name).includes(wanted)).sort((a, b) => rank(a) - rank(b)) : classes;
  box.classList.toggle("many", classes.length > MANY);
  const scrolled = box.scrollTop;
  box.replaceChildren(...shown.slice(0, MOST_SHOWN).map(button));
  box.scrollTop = scrolled;
  if (wanted) box.firstElementChild?.classList.add("first");
  if (wanted && !shown.length) box.replaceChildren(noMatch(field.value.trim()));
  count();
  mark(pressed, guessed);
}

function noMatch(wanted) {
  if (!isOwnFocus) return Object.assign(document.createElement("p"), { className: "hint", textContent: `No class is called “${wanted}”. Esc leaves the field.` });
  const add = Object.assign(document.createElement("button"), { className: "class" });
  add.append(Object.assign(document.createElement("span"), { className: "what", textContent: `New class “${wanted}”` }));
  return add;
}

function button({ name, key }) {
  const made = document.createElement("button");
  made.className = "class";
  made.dataset.name = name;
  made.title = name;
  made.style.setProperty("--hue", hue(name));
  if (key) {
    made.setAttribute("aria-keyshortcuts", key);
    made.append(Object.assign(document.createElement("kbd"), { textContent: key }));
  }
  made.append(
    Object.assign(document.createElement("span"), { className: "what", textContent: name }),
    document.createElement("output"),
  );
  return made;
}
