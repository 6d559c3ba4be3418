// The captcha. What the browser can solve alone is solved in the background before it is needed. A solution is used once.

import { askGeetest } from "./geetest.js";
import { askPicture } from "./picture.js";
import { connectionLost, Refusal } from "./socket.js";
import { config, t } from "./texts.js";

const ALGORITHM = "PBKDF2/SHA-256";
const WORKER = new URL("../vendor/altcha/pbkdf2.js", import.meta.url);
const WANTS_CAPTCHA = new Set(["captcha_required", "captcha_failed"]);
const MARGIN_MS = 5_000;
const RENEWALS = 5;
const LIFE_MS = { least: 10_000, most: 110_000 };

let widgetMade = null;
let queue = Promise.resolve();

/** One captcha for one purpose; `show(state)` hears idle, working, passed, expired, failed or insecure. */
export class Captcha {
  #ready = null;
  #expiry = null;
  #renewals = 0;

  constructor(call, purpose, show = () => {}) {
    Object.assign(this, { call, purpose, show });
  }

  /** Starts solving, unless one is solved or being solved, or it takes the person to do it. */
  prepare() {
    if (!needed() || !alone() || this.#ready) return;
    this.#solve().catch(() => {});
  }

  /** A fresh solution to send along, or undefined where none is asked for. */
  async take() {
    if (!needed()) return undefined;
    const solution = await (this.#ready ?? this.#solve());
    this.#renewals = 0;
    this.#forget("idle");
    return solution;
  }

  #solve() {
    this.show("working");
    this.#ready = this.#fetchAndSolve();
    this.#ready.catch((refusal) => this.#forget(refusal.code === "insecure" ? "insecure" : "failed"));
    return this.#ready;
  }

  async #fetchAndSolve() {
    const { offer, solution } = await fetchAndSolve(this.call, this.purpose);
    this.show("passed");
    this.#expiry = setTimeout(() => this.#onExpired(), lifeMs(offer));
    return solution;
  }

  /** A forgotten page stops asking for new ones; it solves one when it is needed. */
  #onExpired() {
    this.#forget("expired");
    if (!document.hidden && this.#renewals++ < RENEWALS) this.prepare();
  }

  #forget(state) {
    clearTimeout(this.#expiry);
    this.#ready = null;
    this.show(state);
  }
}

/** Calls; where a captcha is wanted (or the one sent was not taken), solves one and calls once more. */
export async function callWithCaptcha(call, type, data) {
  try {
    return await call(type, data);
  } catch (refusal) {
    const purpose = refusal.params?.purpose ?? data.purpose;
    if (!WANTS_CAPTCHA.has(refusal.code) || !purpose) throw refusal;
    const { solution } = await fetchAndSolve(call, purpose);
    return call(type, { ...data, captcha: solution });
  }
}

const needed = () => config.captcha_provider !== "none";
const alone = () => config.captcha_provider === "altcha" && window.isSecureContext;

function lifeMs({ expires_at }) {
  const told = expires_at * 1000 - Date.now() - MARGIN_MS;
  return Math.min(Math.max(told || 0, LIFE_MS.least), LIFE_MS.most);
}

async function fetchAndSolve(call, purpose) {
  const wish = window.isSecureContext ? {} : { provider: "image" };
  const renew = () => call("captcha.new", { purpose, ...wish });
  const check = async (answer) => (await call("captcha.check", { purpose, captcha: answer })).captcha_token;
  const offer = await renew();
  return { offer, solution: await solve(offer, { renew, check }) };
}

/** One at a time: there is one widget, and one dialog. */
function solve(offer, ways) {
  const mine = queue.then(() => solveOffer(offer, ways));
  queue = mine.catch(() => {});
  return mine;
}

async function solveOffer(offer, ways) {
  const { provider, challenge } = offer;
  if (provider === "none") return undefined;
  if (provider === "image") return askPicture(offer, ways);
  if (provider.startsWith("geetest")) return solveGeetest(offer, ways);
  if (provider !== "altcha") throw captchaFailed();
  if (!window.isSecureContext) throw new Refusal({ code: "insecure", message: t("page.captcha_insecure") });
  const widget = await (widgetMade ??= makeWidget());
  widget.configure({ challenge });
  const result = await widget.verify({ minDuration: 0 });
  if (!result) throw captchaFailed();
  return result.payload;
}

/** If GeeTest turns out to be away, the server has another kind of captcha for us. */
async function solveGeetest(offer, ways) {
  const answer = await askGeetest(offer).catch(() => { throw captchaFailed(); });
  try {
    return await ways.check(answer);
  } catch (refusal) {
    if (refusal.code !== "captcha_required") throw refusal;
    return solveOffer(await ways.renew(), ways);
  }
}

const captchaFailed = () => new Refusal({ code: "captcha_failed", message: t("page.captcha_failed") });

async function makeWidget() {
  await import("../vendor/altcha/altcha.min.js").catch(() => {
    widgetMade = null;
    throw connectionLost();
  });
  globalThis.$altcha.algorithms.set(ALGORITHM, () => new Worker(WORKER));
  const home = document.createElement("div");
  home.hidden = true;
  const widget = document.createElement("altcha-widget");
  home.append(widget);
  document.body.append(home);
  await new Promise((resolve) => widget.addEventListener("load", resolve, { once: true }));
  widget.configure({ humanInteractionSignature: false, hideFooter: true, hideLogo: true });
  return widget;
}
