// What the stage shows when every query is answered.

import { post } from "./api.js";
import * as classes from "./classes.js";
import { say } from "./messages.js";

const end = document.getElementById("end");

export const isShown = () => !end.hidden;

export function hide() {
  end.hidden = true;
}

export function show(list, merge, showConflicts) {
  const counted = list.classes.filter(each => each.count).sort((a, b) => b.count - a.count);
  const most = Math.max(1, ...counted.map(each => each.count));
  const rows = counted.slice(0, 12).map(each => line(each.name, each.count, most, classes.hue(each.name)));
  if (list.unusable) rows.push(line("unusable", list.unusable, most, "var(--bad)"));
  const table = document.createElement("table");
  table.append(...rows);
  const pace = list.seconds ? `${list.seconds.toFixed(1)} s each. ` : "";
  end.replaceChildren(
    made("div", { className: "tick", textContent: "✓", ariaHidden: "true" }),
    made("h2", { textContent: list.total === 1 ? "Answered" : `All ${list.total} answered` }),
    made("p", { className: "hint", textContent: `${pace}Click one of the last answers, or go back with ←, to correct it.` }),
    table,
    ...(merge ? [] : [made("code", { textContent: `dfal merge --queries ${list.name} --labels labels.csv` })]),
    list.conflicts.length ? conflictButton(list.conflicts.length, showConflicts) : finishButton(merge),
  );
  end.hidden = false;
}

export const pressFinish = () => end.querySelector("button.primary")?.click();

function finishButton(merge) {
  const button = made("button", { className: "primary" });
  button.append(made("span", { textContent: merge ? `Merge into ${merge} and finish` : "Finish" }), made("kbd", { textContent: "⏎" }));
  button.addEventListener("click", async () => {
    try {
      await post("finish");
      document.dispatchEvent(new Event("finished"));
      end.replaceChildren(
        made("div", { className: "tick", textContent: "✓", ariaHidden: "true" }),
        made("h2", { textContent: "Finished" }),
        made("p", { className: "hint", textContent: "You can close this page. The terminal shows the summary." }),
      );
    } catch (error) {
      say(error.message);
    }
  });
  return button;
}

function conflictButton(count, showConflicts) {
  const button = made("button", { className: "primary", textContent: count === 1 ? "Settle the image with two answers" : `Settle ${count} images with two answers` });
  button.addEventListener("click", showConflicts);
  return button;
}

function line(name, count, most, hue) {
  const row = document.createElement("tr");
  const bar = document.createElement("i");
  bar.style.setProperty("--hue", hue);
  bar.style.width = `${(100 * count) / most}%`;
  const cell = document.createElement("td");
  cell.append(bar);
  row.append(made("td", { textContent: name }), cell, made("td", { textContent: count }));
  return row;
}

const made = (tag, properties) => Object.assign(document.createElement(tag), properties);
