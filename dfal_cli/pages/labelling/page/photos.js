// Pictures at the size of the screen, loaded and decoded before they are shown.

import { photoPath, picture } from "./api.js";

const AT_ONCE = 3; // a browser opens six connections, and answers need one
const KEPT = 30;

export const side = Math.ceil(Math.max(screen.width, screen.height) * Math.min(devicePixelRatio || 1, 2));

const loaded = new Map(); // image -> {promise, img, error}, the most recently wanted last
let waiting = [];
let loading = 0;

// Load these images soon, in this order, and forget those that were not wanted for long.
export function prepare(images) {
  waiting = images.filter(image => !loaded.has(image));
  for (const image of [...images].reverse()) touch(image);
  for (const [image, entry] of loaded) {
    if (loaded.size <= KEPT) break;
    if (!entry.done) continue;
    loaded.delete(image);
    if (entry.img && !entry.img.isConnected) URL.revokeObjectURL(entry.img.src);
  }
  work();
}

// The picture of an image: an <img>, or an error that says why there is none.
export function photo(image) {
  if (!loaded.has(image)) start(image);
  touch(image);
  return loaded.get(image).promise;
}

export const isReady = image => Boolean(loaded.get(image)?.img);

// A picture for a thumbnail: the one that was just shown, if it is still there.
export const thumbnail = image => loaded.get(image)?.img?.src || photoPath(image, 256);

export function again(image) {
  loaded.delete(image);
}

function touch(image) {
  const entry = loaded.get(image);
  if (entry) {
    loaded.delete(image);
    loaded.set(image, entry);
  }
}

function work() {
  while (loading < AT_ONCE && waiting.length) start(waiting.shift());
}

function start(image) {
  const entry = { done: false };
  loaded.set(image, entry);
  loading += 1;
  entry.promise = picture(photoPath(image, side))
    .then(img => (entry.img = img))
    .finally(() => {
      entry.done = true;
      loading -= 1;
      work();
    });
  entry.promise.catch(() => {}); // whoever shows the image says why it cannot be read
}
