// Messages: a line that goes away, trouble that stays until it is over, and words for screen readers.

const toast = document.getElementById("toast");
const trouble = document.getElementById("trouble");
let hiding = 0;

export function say(text) {
  toast.textContent = text;
  toast.classList.add("shown");
  clearTimeout(hiding);
  hiding = setTimeout(() => toast.classList.remove("shown"), 2200);
}

export function warn(text) {
  trouble.hidden = !text;
  trouble.textContent = text;
}

export function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)}\u00a0s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes}\u00a0min` : `${(minutes / 60).toFixed(1)}\u00a0h`;
}
