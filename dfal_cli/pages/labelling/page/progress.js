// What the page says of the list as a whole: how far it is, who is here, and the last answers.

import * as classes from "./classes.js";
import { duration } from "./messages.js";
import * as photos from "./photos.js";

const SKIP = "__skip__";

const element = id => document.getElementById(id);

// `list`: what the server said last. `image`: the one that is shown.
export function show(list, image) {
  const done = list.total - list.left;
  element("progress").firstElementChild.style.transform = `scaleX(${done / list.total})`;
  element("progress").ariaValueMax = list.total;
  element("progress").ariaValueNow = done;
  const pace = list.seconds ? ` · ${list.seconds.toFixed(1)}\u00a0s\u00a0each` : "";
  const rest = list.seconds && list.left ? ` · ${duration(list.seconds_left)}\u00a0left` : "";
  const numbers = element("numbers");
  numbers.replaceChildren(Object.assign(document.createElement("b"), { textContent: done }), ` of ${list.total}${pace}${rest}`);
  document.title = `${done} of ${list.total} · ${list.name}`;
  element("people").hidden = list.people < 2;
  element("people").title = "People who have this page open";
  element("people").textContent = `${list.people} here`;
  element("open-conflicts").hidden = !list.conflicts.length;
  element("open-conflicts").textContent = list.conflicts.length === 1 ? "1 conflict" : `${list.conflicts.length} conflicts`;
  element("unusable").querySelector("output").textContent = list.unusable || "";
  drawRecent(list.recent, image);
}

function drawRecent(recent, image) {
  const strip = element("recent");
  const before = new Map([...strip.children].map(each => [each.dataset.image, each]));
  const tiles = recent.map(row => {
    const tile = before.get(row.image) || recentTile(row);
    tile.querySelector(".label").textContent = row.label === SKIP ? "unusable" : row.label;
    tile.style.setProperty("--hue", row.label === SKIP ? "var(--bad)" : classes.hue(row.label));
    tile.ariaLabel = `Correct image ${row.row + 1}: ${row.label}`;
    tile.classList.toggle("others", row.others);
    tile.setAttribute("aria-current", String(row.image === image));
    return tile;
  });
  if (tiles.some((tile, place) => strip.children[place] !== tile) || tiles.length !== strip.children.length) strip.replaceChildren(...tiles);
}

function recentTile(row) {
  const tile = document.createElement("button");
  tile.dataset.image = row.image;
  const thumb = Object.assign(document.createElement("span"), { className: "thumb" });
  thumb.append(Object.assign(new Image(), { src: photos.thumbnail(row.image), alt: "", draggable: false }));
  tile.append(thumb, Object.assign(document.createElement("span"), { className: "label" }));
  return tile;
}
