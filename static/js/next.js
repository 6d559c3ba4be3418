// Where one goes once signed in: to what the server allowed of `?next=`, else home.

import { config, withLanguage } from "./texts.js";

const WENT_KEY = "haoma.next";
const SENT_BACK_MS = 60_000;

/** Go there. Whoever goes back from there is not taken there again. */
export function goOn() {
  noteGoing();
  window.location.replace(destination());
}

/** Whether this tab may be taken there unasked: not when it was a moment ago and was sent back, for that never ends. */
export function mayGoOnUnasked() {
  try {
    const went = JSON.parse(sessionStorage.getItem(WENT_KEY));
    return went?.next !== config.next || Date.now() - went.at > SENT_BACK_MS;
  } catch {
    return false; // Storage is switched off, so one could be taken to and fro unnoticed.
  }
}

function noteGoing() {
  try {
    sessionStorage.setItem(WENT_KEY, JSON.stringify({ next: config.next, at: Date.now() }));
  } catch {
    // Then nobody is taken there unasked either.
  }
}

function destination() {
  if (!config.next.startsWith("/")) return config.next || withLanguage("/");
  const url = new URL(config.next, window.location.href);
  if (config.lang_param && !url.searchParams.has("lang")) url.searchParams.set("lang", config.lang_param);
  return url.href;
}
