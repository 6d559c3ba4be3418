// The monitor: a picture each second over a websocket of its own, which a ticket opens.

import { Acts } from "./admin-acts.js";
import { Charts } from "./admin-charts.js";
import { Feed } from "./admin-feed.js";
import { Figures } from "./admin-figures.js";
import { Lookup } from "./admin-lookup.js";
import { showConnection } from "./connection.js";
import { busyWhile, byId, showMessage, showRefusal } from "./fields.js";
import { Session } from "./session.js";
import { PageSocket } from "./socket.js";
import { announce, config, t } from "./texts.js";

const PARTS = ["loading", "signed-out", "denied", "trouble", "monitor"];
const session = new Session({ opened: onOpened, ended: onEnded, trouble: onTrouble });
const figures = new Figures();
const charts = new Charts({ onRange });
let socket = null;
let acts, feed, lookup;

function onOpened() {
  if (socket) return;
  socket = new PageSocket(ticketPath);
  showConnection(socket, { fallback: false });
  acts = new Acts({ ask: socket.ask.bind(socket), figures });
  lookup = new Lookup({ ask: socket.ask.bind(socket), acts });
  feed = new Feed({ onLook: (what) => lookup.look(what) });
  socket.on("monitor.snapshot", onSnapshot);
  socket.on("monitor.tick", onTick);
  socket.on("monitor.event", onEvent);
  socket.on("degraded", ({ what }) => figures.showDegraded(what));
  socket.on("session.ended", ({ reason }) => onEnded(reason));
}

/** A ticket is good once, so each connection gets its own. */
async function ticketPath() {
  try {
    const { ticket } = await session.call("admin.ticket");
    return `/ws/admin?ticket=${encodeURIComponent(ticket)}`;
  } catch (refusal) {
    if (refusal.code === "not_allowed") leave("denied");
    else if (refusal.code === "token_invalid") leave("signed-out");
    else if (byId("monitor").hidden) onTrouble(refusal);
    return "/ws/admin";
  }
}

function onSnapshot(snapshot) {
  show("monitor");
  byId("whoami").textContent = t(`ops.as_${snapshot.role}`, { name: snapshot.username });
  document.body.dataset.role = snapshot.role;
  acts.start(snapshot);
  charts.show(snapshot.series);
  feed.start(snapshot.events);
  onTick(snapshot);
}

function onTick(tick) {
  figures.show(tick);
  acts.show(tick);
  if (tick.point) charts.add(tick.point);
}

function onEvent({ events, more }) {
  feed.add(events, more);
  acts.onEvents(events);
}

async function onRange(range) {
  try {
    charts.show(await socket.ask("monitor.series", { range }));
  } catch (refusal) {
    showRefusal(byId("act-message"), refusal);
  }
}

function onEnded(reason) {
  leave(reason === "role_removed" ? "denied" : "signed-out");
  if (reason && reason !== "logout") announce(t(`page.ended_${reason}`));
}

function onTrouble(refusal) {
  show("trouble");
  showRefusal(byId("trouble-message"), refusal);
}

function leave(part) {
  socket?.close();
  show(part);
}

function show(part) {
  for (const id of PARTS) byId(id).hidden = id !== part;
}

byId("retry").addEventListener("click", async () => {
  showMessage(byId("trouble-message"), "quiet");
  await busyWhile(byId("retry"), () => session.refresh());
  if (socket) window.location.reload();
});
byId("denied-retry").addEventListener("click", () => window.location.reload());
if (config.has_session) session.refresh();
