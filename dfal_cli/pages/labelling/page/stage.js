// The image being judged: fitted to the stage, zoomed at the pointer, moved by dragging.

import { picture } from "./api.js";

const stage = document.getElementById("stage");
const place = document.getElementById("photo");
const scaleText = document.getElementById("scale");
const CLOSER = 3; // what `z` and a click zoom to, as a multiple of the fitted size; at least so that it fills the stage
const CLOSEST = 40;
const SMALL = 256; // images up to this side show their single pixels

let img = null;
let image = "";
let size = [1, 1]; // of the picture, in its own pixels
let zoom = 1; // 1: fitted
let x = 0, y = 0; // of the upper left corner, in pixels of the stage
let original = null; // the image whose original is shown or being loaded
const pointers = new Map();
let gesture = null;

export function show(element, name) {
  img = element;
  image = name;
  size = [img.naturalWidth, img.naturalHeight];
  img.style.width = `${size[0]}px`;
  img.style.height = `${size[1]}px`;
  img.classList.toggle("pixels", Math.max(...size) <= SMALL);
  img.draggable = false;
  original = null;
  zoom = 1;
  place.replaceChildren(img);
  fit();
}

export function clear() {
  img = null;
  place.replaceChildren();
  scaleText.textContent = "Zoom";
}

export const isZoomed = () => zoom > 1;

const fitted = () => Math.min(stage.clientWidth / size[0], stage.clientHeight / size[1]);

export function toggleZoom(at) {
  const filling = Math.max(stage.clientWidth / size[0], stage.clientHeight / size[1]) / fitted();
  zoomTo(zoom > 1 ? 1 : Math.max(CLOSER, filling), at);
}

function zoomTo(next, [px, py] = [stage.clientWidth / 2, stage.clientHeight / 2]) {
  if (!img) return;
  const before = fitted() * zoom;
  zoom = Math.min(Math.max(next, 1), CLOSEST);
  const after = fitted() * zoom;
  x = px - ((px - x) * after) / before;
  y = py - ((py - y) * after) / before;
  if (after * (devicePixelRatio || 1) > 1.05) loadOriginal();
  fit();
}

function fit() {
  if (!img) return;
  const scale = fitted() * zoom;
  const within = (at, length, room) => (length <= room ? (room - length) / 2 : Math.min(0, Math.max(room - length, at)));
  x = within(x, size[0] * scale, stage.clientWidth);
  y = within(y, size[1] * scale, stage.clientHeight);
  img.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
  place.classList.toggle("zoomed", zoom > 1);
  scaleText.textContent = zoom > 1 ? `${zoom.toFixed(1)} ×` : "Zoom";
}

// The picture for the screen is replaced by the original in the same place.
async function loadOriginal() {
  if (original === image) return;
  original = image;
  const wanted = image;
  try {
    const full = await picture(`original?${new URLSearchParams({ image: wanted })}`);
    URL.revokeObjectURL(full.src); // it is loaded, and nothing else refers to it
    if (image !== wanted || !img) return;
    full.style.width = img.style.width;
    full.style.height = img.style.height;
    full.className = img.className;
    full.alt = img.alt;
    full.draggable = false;
    img = full;
    place.replaceChildren(img);
    fit();
  } catch {
    original = null; // the picture that is there stays
  }
}

const at = event => {
  const box = stage.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};

const distance = ([a, b]) => Math.hypot(a[0] - b[0], a[1] - b[1]);
const middle = ([a, b]) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];

export function listen({ onSwipe }) {
  new ResizeObserver(fit).observe(stage);
  place.addEventListener("wheel", event => {
    event.preventDefault();
    zoomTo(zoom * Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), at(event));
  }, { passive: false });

  place.addEventListener("pointerdown", event => {
    if (event.button) return;
    pointers.set(event.pointerId, at(event));
    place.setPointerCapture(event.pointerId);
    gesture = { from: at(event), x, y, zoom, moved: false, pinch: pointers.size > 1, apart: 0, when: event.timeStamp, last: gesture };
    if (pointers.size === 2) gesture.apart = distance([...pointers.values()]);
  });
  place.addEventListener("pointermove", event => {
    if (!pointers.has(event.pointerId) || !gesture) return;
    pointers.set(event.pointerId, at(event));
    const [px, py] = at(event);
    if (Math.hypot(px - gesture.from[0], py - gesture.from[1]) > 6) gesture.moved = true;
    if (pointers.size === 2 && gesture.apart) {
      const both = [...pointers.values()];
      zoomTo(gesture.zoom * (distance(both) / gesture.apart), middle(both));
    } else if (zoom > 1 && !gesture.pinch) {
      place.classList.add("moving");
      x = gesture.x + px - gesture.from[0];
      y = gesture.y + py - gesture.from[1];
      fit();
    }
  });
  const ended = event => {
    if (!pointers.delete(event.pointerId) || !gesture) return;
    place.classList.remove("moving");
    if (event.type === "pointercancel" || gesture.pinch) return;
    const [px, py] = at(event);
    const dx = px - gesture.from[0];
    if (!gesture.moved) {
      const isSecondTap = gesture.last && !gesture.last.moved && gesture.when - gesture.last.when < 350;
      if (event.pointerType === "mouse" || isSecondTap) toggleZoom([px, py]);
    } else if (event.pointerType !== "mouse" && gesture.zoom === 1 && Math.abs(dx) > 60 && Math.abs(dx) > 2 * Math.abs(py - gesture.from[1])) {
      onSwipe(dx < 0 ? 1 : -1);
    }
    gesture.last = null; // only the one before is remembered
  };
  place.addEventListener("pointerup", ended);
  place.addEventListener("pointercancel", ended);
}
