// News without a websocket: one request after the other, each of which the server answers when there is some.

export const WAIT_S = 25;
// Between an answer and the next question. A server that is going away answers at once, and must not be hurried.
const PAUSE_MS = 500;
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 30_000;

export class LongPoll {
  #running = null;

  /** `ask(signal)` resolves with news for `heard`; `over(refusal)` is true where asking again is of no use. */
  constructor({ ask, heard, over }) {
    Object.assign(this, { ask, heard, over });
  }

  /** Goes on while `wanted`, and drops the request under way when not. */
  keep(wanted) {
    if (!wanted) return this.stop();
    if (this.#running) return;
    this.#running = new AbortController();
    this.#run(this.#running.signal);
  }

  stop() {
    this.#running?.abort();
    this.#running = null;
  }

  async #run(signal) {
    let misses = 0;
    while (!signal.aborted) {
      try {
        const news = await this.ask(signal);
        if (signal.aborted) return;
        misses = 0;
        this.heard(news);
        await pause(PAUSE_MS);
      } catch (refusal) {
        if (signal.aborted) return;
        if (this.over(refusal)) return this.stop();
        await pause(retryMs(misses++, refusal));
      }
    }
  }
}

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** Ever later, never sooner than the server asked for, and no two pages in step. */
function retryMs(misses, refusal) {
  const backOff = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** misses) * (0.75 + Math.random() / 2);
  return Math.max(backOff, (refusal.params?.retry_after ?? 0) * 1000);
}
