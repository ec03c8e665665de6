"use strict";
// Labels the images of the page. Answers stay in the browser's storage until they are saved as CSV.

const UNUSABLE = "__skip__";
const list = JSON.parse(document.getElementById("list").textContent);
const cards = [...document.querySelectorAll("article")];
const classes = new Map(list.classes); // name -> key, "" if there were more classes than keys
const answers = new Map(); // index of the card -> label
const undone = []; // earlier answers, [index, label or undefined], the last one at the end
let now = 0;
let unsaved = false;
let stored = true;

const element = (id) => document.getElementById(id);
const shown = (label) => (label === UNUSABLE ? "unusable" : label);

function restore() {
  try {
    const kept = JSON.parse(localStorage.getItem(list.identity) || "{}");
    for (const name of kept.classes || []) addClass(name);
    for (const [index, label] of kept.answers || []) if (cards[index]) answers.set(index, label);
  } catch {
    stored = false;
  }
}

function keep() {
  try {
    localStorage.setItem(list.identity, JSON.stringify({ classes: [...classes.keys()], answers: [...answers] }));
  } catch {
    stored = false;
  }
}

function show(index) {
  cards[index].querySelector(".answer").textContent = answers.has(index) ? shown(answers.get(index)) : "";
  element("progress").value = answers.size;
  element("count").textContent = `${answers.size} of ${cards.length}`;
}

function goTo(index, scroll = true) {
  cards[now].classList.remove("now");
  now = Math.min(Math.max(index, 0), cards.length - 1);
  cards[now].classList.add("now");
  element("now").textContent = `image ${list.rows[now][list.rank]}`;
  if (scroll) cards[now].scrollIntoView({ block: "nearest" });
  showChosen();
}

function showChosen() {
  for (const button of element("classes").children) {
    button.classList.toggle("chosen", button.dataset.name === answers.get(now));
  }
}

function nextUnanswered() {
  for (let step = 1; step <= cards.length; step++) {
    const index = (now + step) % cards.length;
    if (!answers.has(index)) return index;
  }
  return now;
}

function set(index, label) {
  if (label === undefined) answers.delete(index);
  else answers.set(index, label);
  unsaved = true;
  keep();
  show(index);
}

function answer(label) {
  element("said").hidden = true;
  undone.push([now, answers.get(now)]);
  set(now, label);
  if (answers.size === cards.length) say("All images are answered. Save the answers as CSV.");
  goTo(label === undefined ? now : nextUnanswered());
}

function undo() {
  if (!undone.length) return;
  const [index, label] = undone.pop();
  set(index, label);
  goTo(index);
}

function offer() {
  const buttons = [...classes].map(([name, key]) => {
    const button = document.createElement("button");
    button.dataset.name = name;
    if (key) {
      const shownKey = document.createElement("kbd");
      shownKey.textContent = key;
      button.append(shownKey, " ");
    }
    button.append(name);
    button.addEventListener("click", () => answer(name));
    return button;
  });
  element("classes").replaceChildren(...buttons);
  element("filter").hidden = classes.size <= list.keys.length;
  showChosen();
}

function filter() {
  const wanted = element("filter").value.trim().toLowerCase();
  for (const button of element("classes").children) {
    button.hidden = !button.dataset.name.toLowerCase().includes(wanted);
  }
}

function answerWithFound() {
  const found = [...element("classes").children].find((button) => !button.hidden);
  element("filter").value = "";
  element("filter").blur();
  filter();
  if (found) answer(found.dataset.name);
}

function addClass(name) {
  if (classes.has(name) || name === UNUSABLE) return;
  const taken = [...classes.values()];
  classes.set(name, [...list.keys].find((key) => !taken.includes(key)) || "");
}

function answerWithNew() {
  const name = element("name").value.replace(/\s+/g, " ").trim();
  if (!name) return;
  addClass(name);
  offer();
  answer(name);
}

function say(text, warning = false) {
  element("said").textContent = text;
  element("said").hidden = false;
  element("said").classList.toggle("warning", warning);
}

// The columns and rows are those of the query list. Like there, a label never begins as a formula.
function csv() {
  const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const filled = list.rows.map((row, index) => {
    const label = (answers.get(index) || "").replace(/^('*[=+\-@])/, "'$1");
    return row.map((text, column) => (column === list.label ? label : text));
  });
  return [list.columns, ...filled].map((row) => row.map(cell).join(",") + "\n").join("");
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  link.download = list.file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  unsaved = false;
  const left = cards.length - answers.size;
  const rest = left ? ` ${left} ${left === 1 ? "image is" : "images are"} not answered yet; you can save again.` : "";
  say(`Saved as ${list.file} in your downloads. Merge that file.${rest}`);
}

function viewOne(one) {
  document.body.classList.toggle("one", one);
  element("view").setAttribute("aria-pressed", one);
  element("view").firstChild.textContent = one ? "All images " : "One at a time ";
  goTo(now);
}

function columns() {
  const top = cards[0].offsetTop;
  const second = cards.findIndex((card) => card.offsetTop > top);
  return document.body.classList.contains("one") || second < 0 ? 1 : second;
}

const commands = {
  ArrowRight: () => goTo(now + 1),
  ArrowLeft: () => goTo(now - 1),
  ArrowDown: () => goTo(now + columns()),
  ArrowUp: () => goTo(now - columns()),
  " ": () => goTo(nextUnanswered()),
  Backspace: undo,
  Delete: () => answer(undefined),
  Escape: () => viewOne(false),
  "?": () => element("keys").showModal(),
  "/": () => element("filter").hidden || element("filter").focus(),
  n: () => {
    element("name").value = "";
    element("naming").showModal();
  },
  u: () => answer(UNUSABLE),
  z: () => viewOne(!document.body.classList.contains("one")),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
  if (event.target === element("filter")) {
    if (event.key === "Enter") answerWithFound();
    return;
  }
  if (event.key === " " && event.target.closest("button, summary")) return;
  const [name] = [...classes].find(([, key]) => key === event.key.toLowerCase()) || [];
  const command = commands[event.key] || commands[event.key.toLowerCase()] || (name && (() => answer(name)));
  if (!command) return;
  event.preventDefault();
  command();
});

cards.forEach((card, index) => {
  card.addEventListener("click", () => goTo(index, false));
  card.querySelector(".photo").addEventListener("dblclick", () => viewOne(true));
});
element("filter").addEventListener("input", filter);
element("view").addEventListener("click", commands.z);
element("help").addEventListener("click", commands["?"]);
element("save").addEventListener("click", save);
element("new").addEventListener("click", commands.n);
element("unusable").addEventListener("click", commands.u);
element("undo").addEventListener("click", undo);
element("cancel").addEventListener("click", () => element("naming").close());
element("naming").addEventListener("submit", answerWithNew); // "close" would come after the next key
addEventListener("beforeunload", (event) => {
  if (unsaved && !stored) event.preventDefault();
});

restore();
offer();
cards.forEach((_, index) => show(index));
document.body.classList.add("labelling");
element("tools").hidden = element("bar").hidden = false;
goTo(answers.has(0) ? nextUnanswered() : 0, answers.size > 0);
if (!stored) say("This browser does not keep answers of a page opened from disk: save them before you close it.", true);
