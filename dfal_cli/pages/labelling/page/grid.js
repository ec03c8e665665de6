// Many images that are probably of one class, answered at once but for those that a person clicks.

import { get, photoPath, post } from "./api.js";
import * as classes from "./classes.js";
import { say } from "./messages.js";

const grid = document.getElementById("grid");
const tiles = document.getElementById("tiles");
const chosen = document.getElementById("grid-class");
const probable = document.getElementById("grid-probable");
const left = document.getElementById("grid-left");
const save = document.getElementById("grid-save");
const behind = document.querySelectorAll("body > .bar, body > main");
const GAP = 10; // between tiles, in pixels

let rows = [];
let passed = new Set(); // images that were clicked; they are not offered again
let hasGuesses = false;
let busy = false;
let changed = () => {};
let closed = () => {};

export const isOpen = () => !grid.hidden;

export function listen({ onChange, onClose }) {
  changed = onChange;
  closed = onClose;
  chosen.addEventListener("change", restart);
  probable.addEventListener("change", restart);
  save.addEventListener("click", answer);
  document.getElementById("close-grid").addEventListener("click", close);
  tiles.addEventListener("click", event => {
    const tile = event.target.closest("button");
    if (!tile) return;
    tile.setAttribute("aria-pressed", String(tile.getAttribute("aria-pressed") !== "true"));
    describe();
  });
}

export async function open(guesses) {
  if (!classes.names().length) return say("Add a class first");
  hasGuesses = guesses;
  document.getElementById("grid-filter").hidden = !guesses;
  probable.checked = guesses;
  passed = new Set();
  grid.hidden = false;
  for (const each of behind) each.inert = true;
  const { predicted } = await get("grid", { predicted: "", count: 0 });
  const before = chosen.value;
  const options = classes.names().map(name => new Option(predicted[name] ? `${name} (${predicted[name]})` : name, name));
  chosen.replaceChildren(...options);
  const likeliest = classes.names().reduce((best, name) => ((predicted[name] || 0) > (predicted[best] || 0) ? name : best));
  chosen.value = classes.names().includes(before) ? before : likeliest;
  await load();
}

export function close() {
  grid.hidden = true;
  for (const each of behind) each.inert = false;
  tiles.replaceChildren();
  closed();
}

function restart() {
  passed = new Set();
  load();
}

async function load() {
  const { columns, side } = layout();
  const room = columns * Math.max(2, Math.floor((tiles.clientHeight + GAP) / (side + GAP)));
  const predicted = hasGuesses && probable.checked ? chosen.value : "";
  const reply = await get("grid", { predicted, count: room + passed.size });
  rows = reply.rows.filter(row => !passed.has(row.image)).slice(0, room);
  tiles.replaceChildren(...rows.map(tile));
  tiles.scrollTop = 0;
  left.textContent = `${reply.open} unanswered${predicted ? ` are probably ${predicted}` : ""}`;
  describe();
  tiles.querySelector("button")?.focus({ preventScroll: true });
}

function layout() {
  const widths = getComputedStyle(tiles).gridTemplateColumns.split(" ").map(parseFloat);
  return { columns: widths.length, side: widths[0] };
}

function tile(row) {
  const made = document.createElement("button");
  made.className = "tile";
  made.setAttribute("aria-pressed", "false");
  made.setAttribute("aria-label", `Image ${row.row + 1}: not one of them`);
  const img = new Image();
  img.alt = "";
  img.src = photoPath(row.image, 512);
  img.draggable = false;
  img.addEventListener("load", describe);
  img.addEventListener("error", () => { // nobody can judge it
    made.setAttribute("aria-pressed", "true");
    made.disabled = true;
    describe();
  });
  made.append(img);
  return made;
}

const isLoading = () => [...tiles.querySelectorAll("img")].some(img => !img.complete);

const marked = () => [...tiles.children].map(each => each.getAttribute("aria-pressed") === "true");

function describe() {
  const count = marked().filter(mark => !mark).length;
  save.disabled = !rows.length || isLoading();
  const words = rows.length ? (count ? `Answer ${count} with “${chosen.value}”` : "None of them; next") : "None left";
  save.querySelector("span").textContent = isLoading() ? "Loading images …" : words;
}

async function answer() {
  if (busy || !rows.length) return;
  if (isLoading()) return say("Too fast: some images are not there yet");
  busy = true;
  const marks = marked();
  const kept = rows.filter((row, place) => !marks[place]);
  rows.filter((row, place) => marks[place]).forEach(row => passed.add(row.image));
  try {
    const answers = kept.map(row => ({ image: row.image, label: chosen.value, before: row.label }));
    if (answers.length) changed(await post("answers", { answers, after: -1, count: 0 }));
    await load();
  } catch (error) {
    say(error.message);
  }
  busy = false;
}

export async function key(event) {
  const focused = [...tiles.children].indexOf(document.activeElement);
  const { columns } = layout();
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
  if (event.key === "Escape" || event.key === "g") close();
  else if (document.activeElement === chosen) return;
  else if (step) tiles.children[Math.min(Math.max(focused + step, 0), rows.length - 1)]?.focus();
  else if (event.key === "Enter") answer();
  else if (event.key === "Backspace") {
    changed(await post("undo"));
    await load();
  } else if (classes.byKey(event.key) && !event.repeat) {
    chosen.value = classes.byKey(event.key);
    restart();
  } else return;
  event.preventDefault();
}
