// The labelling page: shows one image after another, and takes answers by keys, clicks and touch.
//
// The next image shows when the server has said that the answer is on disk.

import { get, leave } from "./api.js";
import * as classes from "./classes.js";
import * as dialogs from "./dialogs.js";
import * as end from "./end.js";
import * as grid from "./grid.js";
import * as keyboard from "./keyboard.js";
import { say, warn } from "./messages.js";
import * as photos from "./photos.js";
import * as progress from "./progress.js";
import { isSaving, saved, waits, warnOfNewServer } from "./saving.js";
import * as stage from "./stage.js";

const SKIP = "__skip__";
const AHEAD = 10;
const BEHIND = 3;
const POLL = 2000; // milliseconds
const SPINNER_AFTER = 150;

const isTouched = matchMedia("(pointer: coarse)").matches; // there is probably no keyboard
const fileName = image => image.split("/").pop();
const element = id => document.getElementById(id);

let list = null; // what the server last said about the list as a whole
let merge = "";
let hasGuesses = false;
let showsGuess = false;
let now = null; // the row being shown, with its answer as the person sees it
let queue = []; // unanswered rows that come next
let isReady = false; // whether the person can see the image, or why there is none
let isUnreadable = false;
let isOver = false;
let shownAt = 0;
const known = new Map(); // row number -> row

async function begin() {
  const { row, name, guesses, merge: labels, ...rest } = await beginning();
  [merge, hasGuesses] = [labels, guesses];
  element("show-guess").hidden = !hasGuesses;
  element("list-name").textContent = element("list-name").title = name;
  update({ ...rest, name });
  if (list.left === 0) return showEnd();
  await go(row);
  classes.restFilter();
}

// What the server says about the list, and the first row to show. The image that is shown till then takes no answer.
async function beginning() {
  isReady = false;
  try {
    const { start, ...state } = await get("state");
    known.clear();
    return { ...state, row: await rowAt(start) };
  } catch (error) {
    isReady = now !== null;
    throw error;
  }
}

function remember(rows) {
  if (known.size > 1000) known.clear();
  for (const row of rows) known.set(row.row, row);
}

async function rowAt(number) {
  if (!known.has(number)) remember((await get("rows", { first: Math.max(0, number - AHEAD), count: 2 * AHEAD + 1 })).rows);
  return known.get(number);
}

// Show a row, and find out what comes after it.
async function go(row) {
  show(row);
  await refill();
}

async function refill() {
  const row = now;
  const { rows } = await get("queue", { after: row.row, count: AHEAD + 1 });
  if (now !== row) return;
  remember(rows);
  queue = rows.filter(each => each.row !== row.row);
  prepare();
}

function prepare() {
  const around = [];
  for (let step = 1; step <= BEHIND; step += 1) around.push(known.get(now.row - step), known.get(now.row + step));
  photos.prepare([now, ...queue.slice(0, AHEAD), ...around].filter(Boolean).map(each => each.image));
}

async function show(row) {
  now = { ...row };
  isReady = isUnreadable = false;
  end.hide();
  element("unreadable").hidden = true;
  element("name").textContent = fileName(row.image);
  element("name").title = row.image;
  describe();
  if (!photos.isReady(row.image)) stage.clear();
  const spinner = setTimeout(() => (element("spinner").hidden = false), SPINNER_AFTER);
  try {
    const img = await photos.photo(row.image);
    if (now.image !== row.image) return;
    img.alt = `Image ${row.row + 1} of ${list.total}`;
    stage.show(img, row.image);
  } catch (error) {
    if (now.image !== row.image) return;
    stage.clear();
    isUnreadable = true;
    element("unreadable").textContent = `This image cannot be shown: ${error.message}. ${onlyUnusable()}`;
    element("unreadable").hidden = false;
    if (error.status !== 422) photos.again(row.image);
  } finally {
    clearTimeout(spinner);
    if (now.image === row.image) element("spinner").hidden = true;
  }
  isReady = true;
  shownAt = performance.now();
  element("spoken").textContent = `Image ${row.row + 1} of ${list.total}${row.label ? `, answered ${row.label}` : ""}`;
}

function onlyUnusable() {
  if (isTouched) return "Tap “Unusable” if it is, or “Skip for now”.";
  return `Press ${classes.isFiltering() ? "Esc and " : ""}u to mark it as unusable, or Space to skip it.`;
}

// Show the answer of the image, its label in a list of labels to review, and what the model predicts if wanted.
function describe() {
  const chip = element("answer");
  chip.hidden = !now.label;
  chip.textContent = now.label === SKIP ? "unusable" : now.label;
  chip.style.setProperty("--hue", now.label === SKIP ? "var(--bad)" : classes.hue(now.label));
  element("labelled").hidden = !now.labelled;
  element("labelled").textContent = `labelled ${now.labelled} so far: is that right?`;
  const guess = showsGuess && now.guess;
  element("guess").hidden = !guess;
  if (guess) element("guess").textContent = `predicted: ${now.guess[0]}${now.guess[1] ? ` ${Math.round(100 * now.guess[1])} %` : ""}`;
  classes.mark(now.label, guess ? now.guess[0] : "");
  element("unusable").setAttribute("aria-pressed", String(now.label === SKIP));
  for (const each of element("recent").children) each.setAttribute("aria-current", String(each.dataset.image === now.image));
}

function next() {
  const row = queue.find(each => !known.get(each.row)?.label);
  if (row) {
    queue = queue.slice(queue.indexOf(row) + 1);
    show(row);
    return true;
  }
  if (list.left === 0) showEnd();
  return false;
}

function showEnd() {
  now = null;
  isReady = false;
  stage.clear();
  for (const id of ["labelled", "answer", "guess", "unreadable", "spinner"]) element(id).hidden = true;
  element("name").textContent = "";
  classes.mark("");
  end.show(list, merge, () => settle(list.conflicts[0]));
}

async function answer(label) {
  if (!now || isOver) return;
  if (isSaving() || !isReady) return say("Too fast: that answer was not counted, the image was not there yet");
  if (isUnreadable && label !== SKIP) return say(onlyUnusable());
  const row = now;
  const seconds = (performance.now() - shownAt) / 1000;
  classes.restFilter();
  classes.flash(label);
  const reply = await saved("answers", {
    answers: [{ image: row.image, label, before: row.label }], seconds, after: row.row, count: AHEAD + 1,
  });
  if (!reply) return;
  remember(reply.rows);
  remember(reply.queue);
  queue = reply.queue;
  list = { ...list, left: reply.left };
  const [refused] = reply.refused;
  if (refused) {
    update(reply);
    const pair = { image: row.image, first: refused.now, second: refused.label };
    if (refused.now) await settle(pair, "the answer in the list", "your answer");
    else say("The answer of this image has just been changed");
  }
  if (!next() && list.left) await go(row);
  afterPaint(() => {
    update(reply);
    if (now) prepare();
    else if (list.left === 0 && end.isShown()) showEnd();
  });
}

// The next image is painted first, and everything else after it.
const afterPaint = work => requestAnimationFrame(() => setTimeout(work));

async function skip() {
  if (waits(skip) || !now) return;
  const row = now;
  if (!next()) return say(list.left === 1 && !row.label ? "This is the only one left" : "No other image is left");
  await refill();
}

async function undo() {
  if (waits(undo) || isOver || !list) return;
  const reply = await saved("undo");
  if (!reply) return;
  remember(reply.rows);
  update(reply);
  if (!reply.rows.length) return say("There is nothing of yours to undo");
  if (reply.refused.length) say("This answer was changed or confirmed since you gave it; it stays");
  else say(reply.rows.length > 1 ? `${reply.rows.length} answers undone` : "Undone");
  await go(reply.rows[0]);
}

async function step(by) {
  if (waits(() => step(by)) || !list) return;
  const from = now ? now.row : list.total;
  if (from + by < 0 || from + by >= list.total) return;
  await go(await rowAt(from + by));
}

async function newClass(typed) {
  const added = await dialogs.newClass(typed);
  if (!added) return;
  update(added.reply);
  await answer(added.name);
}

async function settle({ image, first, second }, firstIs = "in the list", secondIs = "the other answer") {
  const label = await dialogs.settle({ image, first, second }, firstIs, secondIs);
  if (label === null) return;
  const reply = await saved("answers", { answers: [{ image, label, before: first }], after: now ? now.row : -1, count: AHEAD + 1 });
  if (!reply) return;
  remember(reply.rows);
  update(reply);
  if (end.isShown()) showEnd();
}

function update(given) {
  list = { ...list, ...given };
  element("no-classes").textContent = `There are no classes yet. ${isTouched ? "Tap “New class”" : "Press n"} to add the first one.`;
  classes.update(list.classes); // gives the classes their colours
  progress.show(list, now?.image);
}

// Ask what other people, or programs, have changed.
async function poll() {
  if (document.hidden || isSaving() || isOver || !list) return;
  try {
    const { rows, afresh, ...rest } = await get("changes", {
      image: now ? now.image : "", epoch: list.epoch, revision: list.revision,
    });
    if (isSaving()) return;
    warn("");
    const isOther = rest.epoch !== list.epoch;
    if (afresh) known.clear();
    if (isOther) return begin();
    remember(rows);
    update(rest);
    const other = rows.find(row => row.image === now?.image && row.label && row.label !== now.label);
    if (other) say(`This image has just been answered: ${other.label}`);
    if (afresh && now) await refill();
    if (end.isShown()) list.left === 0 ? rows.length && showEnd() : await begin();
  } catch (error) {
    if (error.status === 403) warnOfNewServer();
    else if (!error.status && end.isShown()) warn("`dfal label` has ended. All answers are saved.");
    else warn(`${error.message} ${error.status ? "" : "Your answers so far are saved."}`);
  }
}

function togglePrediction() {
  if (!hasGuesses) return say("This list has no predictions");
  showsGuess = !showsGuess;
  element("show-guess").setAttribute("aria-pressed", String(showsGuess));
  if (now) describe();
  say(showsGuess ? "Predictions are shown; they may bias you" : "Predictions are hidden");
}

function openGrid() {
  if (!isSaving()) grid.open(hasGuesses);
}

const KEYS = {
  " ": skip,
  Backspace: undo,
  ArrowLeft: () => step(-1),
  ArrowRight: () => step(1),
  "?": () => dialogs.showHelp(hasGuesses, classes.hasField()),
  "/": () => classes.hasField() && classes.focusFilter(),
  g: openGrid,
  n: () => newClass(""),
  p: togglePrediction,
  u: () => answer(SKIP),
  z: () => stage.toggleZoom(),
  Enter: () => end.isShown() && end.pressFinish(),
};

function listen() {
  keyboard.listen({ actions: KEYS, onAnswer: answer, onNew: newClass });
  // A clicked button would take the next Space or Enter for itself.
  document.addEventListener("click", event => event.detail && event.target.closest?.("button")?.blur());
  document.addEventListener("finished", () => (isOver = element("back").hidden = true));
  classes.listen({ onAnswer: answer, onNew: newClass });
  stage.listen({ onSwipe: step });
  grid.listen({
    onChange: reply => {
      remember(reply.rows);
      update(reply);
      if (reply.refused.length) say(`${reply.refused.length} were answered otherwise meanwhile`);
    },
    onClose: () => begin(),
  });
  const clicks = {
    skip, undo, unusable: () => answer(SKIP), "new-class": () => newClass(""), back: () => step(-1), forth: () => step(1),
    zoom: () => stage.toggleZoom(), "open-grid": openGrid, "show-guess": togglePrediction, "open-help": () => KEYS["?"](),
    "open-conflicts": () => settle(list.conflicts[0]),
  };
  for (const [id, act] of Object.entries(clicks)) element(id).addEventListener("click", act);
  element("actions").addEventListener("click", event => event.detail && classes.restFilter());
  element("recent").addEventListener("click", event => {
    const tile = event.target.closest("button");
    const row = tile && list.recent.find(each => each.image === tile.dataset.image);
    if (row && !isSaving()) go(row);
  });
  setInterval(poll, POLL);
  addEventListener("pagehide", () => leave());
  document.addEventListener("visibilitychange", poll);
}

listen();
begin().catch(error => warn(error.message));
