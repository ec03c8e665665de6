// Dialogs: the keys, a new class, and two different answers to one image.

import { photoPath, post } from "./api.js";
import * as classes from "./classes.js";

const help = document.getElementById("help");
const naming = document.getElementById("naming");
const name = document.getElementById("class-name");
const problem = document.getElementById("naming-problem");
const conflict = document.getElementById("conflict");

export const isOpen = () => help.open || naming.open || conflict.open;

export function showHelp(hasGuesses, hasField) {
  document.getElementById("help-guess").hidden = !hasGuesses;
  document.getElementById("help-find").hidden = !hasField;
  help.showModal();
}

// Ask for a class, add it, and return what the server replies and the name; null if the person cancels.
export function newClass(typed = "") {
  name.value = typed;
  problem.textContent = "";
  naming.showModal();
  name.select();
  return new Promise(resolve => {
    const form = naming.querySelector("form");
    const done = value => {
      form.onsubmit = naming.oncancel = form.querySelector("[value=cancel]").onclick = null;
      naming.close();
      resolve(value);
    };
    naming.oncancel = () => done(null);
    form.querySelector("[value=cancel]").onclick = () => done(null);
    form.onsubmit = async event => {
      event.preventDefault();
      const wanted = name.value.trim();
      if (!wanted) return;
      try {
        done({ name: wanted, reply: await post("classes", { name: wanted }) });
      } catch (error) {
        problem.textContent = error.message;
        name.focus();
      }
    };
  });
}

// Ask which of two answers is right, and return it; null if the person decides later.
export function settle({ image, first, second }, firstIs, secondIs) {
  document.getElementById("conflict-text").textContent = "This image was given two answers. Which one is right?";
  const img = new Image();
  img.alt = "The image with two answers";
  img.src = photoPath(image, 1024);
  document.getElementById("conflict-photo").replaceChildren(img);
  return new Promise(resolve => {
    const buttons = [[first, firstIs], [second, secondIs]].filter(([label]) => label).map(([label, is]) => {
      const button = document.createElement("button");
      button.style.setProperty("--hue", classes.hue(label));
      button.append(
        Object.assign(document.createElement("b"), { textContent: label === "__skip__" ? "unusable" : label }),
        Object.assign(document.createElement("small"), { textContent: is }),
      );
      button.addEventListener("click", () => {
        conflict.onclose = null;
        conflict.close();
        resolve(label);
      });
      return button;
    });
    conflict.querySelector(".buttons").replaceChildren(...buttons);
    conflict.onclose = () => resolve(null);
    conflict.showModal();
    buttons[0].focus();
  });
}
