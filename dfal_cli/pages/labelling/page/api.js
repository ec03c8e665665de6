// The requests to the server. All paths are relative, so that they begin with the token of the page's own address.

export class Refused extends Error {
  // The server's answer was not 200; `status` is 0 if there was none at all.
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// One per tab: the server tells people apart by it.
export const person = (() => {
  const stored = sessionStorage.getItem("person") || [...crypto.getRandomValues(new Uint8Array(9))].map(b => b.toString(36)).join("");
  sessionStorage.setItem("person", stored);
  return stored;
})();

async function call(path, options) {
  let reply;
  try {
    reply = await fetch(path, options);
  } catch {
    throw new Refused(0, "The server does not answer. Is `dfal label` still running?");
  }
  if (!reply.ok) throw new Refused(reply.status, await reply.text());
  return reply;
}

export async function get(path, values = {}) {
  return (await call(`${path}?${new URLSearchParams({ person, ...values })}`)).json();
}

export async function post(path, values = {}) {
  const body = JSON.stringify({ person, ...values });
  return (await call(path, { method: "POST", headers: { "Content-Type": "application/json" }, body })).json();
}

// The page is being closed: nobody waits for a reply.
export function leave() {
  navigator.sendBeacon("leave", new Blob([JSON.stringify({ person })], { type: "application/json" }));
}

export const photoPath = (image, side) => `photo?${new URLSearchParams({ image, side })}`;

export async function picture(path) {
  const blob = await (await call(path)).blob();
  const img = new Image();
  img.src = URL.createObjectURL(blob);
  await img.decode();
  return img;
}
