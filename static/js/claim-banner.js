// What is asked about the number of one's account, and the button that says no.

import { busyWhile, byId, showMessage, showRefusal } from "./fields.js";
import { announce, dateText, t, waitText } from "./texts.js";

const DRAW_MS = 30_000;
const ASK_MS = 60_000;

export class ClaimBanner {
  #session;
  #claim = null;
  #ahead = 0;
  #heard = null;
  #box = byId("claim");
  #title = byId("claim-title");

  constructor(session) {
    this.#session = session;
    byId("claim-refuse").addEventListener("click", () => this.#onRefuse());
    setInterval(() => this.#claim && this.#draw(), DRAW_MS);
    setInterval(() => this.#ask(), ASK_MS);
  }

  /** Asks how it stands. Whenever the session has a new token: what a lost push would have told is known then. */
  async look() {
    this.#listen();
    try {
      const { claim, server_now } = await this.#session.call("claim.get");
      this.#ahead = server_now - Date.now() / 1000;
      this.#show(claim);
    } catch {
      // The page is as good without; it asks again.
    }
  }

  #listen() {
    if (this.#heard === this.#session.socket) return;
    this.#heard = this.#session.socket;
    this.#heard.on("claim.shown", ({ claim }) => this.#show(claim));
  }

  /** Without a websocket nothing is pushed. */
  #ask() {
    const { socket, token } = this.#session;
    if (token && socket?.state === "rest" && !document.hidden) this.look();
  }

  #show(claim) {
    const [before, now] = [JSON.stringify(this.#claim), JSON.stringify(claim)];
    if (before === now) return;
    this.#claim = claim;
    if (claim) this.#draw();
    else this.#drawOver();
    announce(this.#title.textContent);
  }

  #draw() {
    const { kind, mobile, due_at: due } = this.#claim;
    const left = due - this.#ahead - Date.now() / 1000;
    const when = { date: dateText(due), wait: left > 0 ? t("page.claim_in", { wait: waitText(left) }) : t("page.claim_soon") };
    this.#box.dataset.state = kind;
    this.#title.textContent = t(`page.claim_title_${kind}`, { mobile });
    byId("claim-what").textContent = t(`page.claim_what_${kind}`, when);
    byId("claim-then").textContent = t(`page.claim_then_${kind}`, { username: this.#session.username });
    byId("claim-refuse").textContent = t(`page.claim_refuse_${kind}`);
    byId("claim-move").hidden = kind !== "release";
    this.#box.hidden = false;
  }

  /** Whoever said no here, or sees that somebody did elsewhere, is told so where it stood. */
  #drawOver() {
    const focused = this.#box.contains(document.activeElement);
    this.#box.dataset.state = "over";
    this.#title.textContent = t("page.claim_over");
    showMessage(byId("claim-message"), "quiet");
    if (focused) this.#title.focus();
  }

  #onRefuse() {
    return busyWhile(byId("claim-refuse"), async () => {
      showMessage(byId("claim-message"), "quiet");
      try {
        await this.#session.call("claim.refuse");
        this.#show(null);
      } catch (refusal) {
        showRefusal(byId("claim-message"), refusal);
      }
    });
  }
}
