// Saves answers and undo: one thing after the other, until the server has said that it is on disk.

import { Refused, post } from "./api.js";
import * as dialogs from "./dialogs.js";
import { say, warn } from "./messages.js";

const RETRY = 1000; // milliseconds

let isBusy = false; // whether an answer is on its way
let waiting = null; // what to do when it is saved
let lost = ""; // what the person has to know of an answer that may not be saved

const fileName = image => image.split("/").pop();

export const isSaving = () => isBusy;

// Send something that is to be saved, and try until it is. Nothing else is sent meanwhile. Null: it was refused.
export async function saved(path, values = {}) {
  const images = (values.answers || []).map(each => each.image);
  isBusy = true;
  const slow = setTimeout(() => warn("Saving …"), 500);
  try {
    for (;;) {
      try {
        const reply = await post(path, values);
        warn("");
        return reply;
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        if (error.status === 403) {
          lost = images.length ? `The last answer, to ${images.map(fileName)}, may not be saved: check it there.` : "The last undo may not be saved.";
          warnOfNewServer();
        } else if (error.status && error.status !== 503) say(error.message);
        if (error.status && error.status !== 503) return null;
        warn(`Not saved yet: ${error.message}`);
        await new Promise(resolve => setTimeout(resolve, RETRY));
      }
    }
  } finally {
    clearTimeout(slow);
    isBusy = false;
    setTimeout(doWaiting);
  }
}

// The new server has another link. What the old one was sent last, it may have been killed before saving.
export const warnOfNewServer = () => warn(`The server was started again. Open the link that it printed last. ${lost || "Your answers are saved."}`);

// While something is being saved, the last command but an answer waits: nobody can judge an image that is not shown yet.
export function waits(act) {
  if (isBusy) waiting = act;
  return isBusy;
}

function doWaiting() {
  const act = waiting;
  waiting = null;
  if (act && !dialogs.isOpen()) act();
}
