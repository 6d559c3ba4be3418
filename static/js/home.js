// The home page: signed in or not.

import { ClaimBanner } from "./claim-banner.js";
import { busyWhile, byId, showMessage, showRefusal } from "./fields.js";
import { takeReason } from "./handover.js";
import { Session } from "./session.js";
import { announce, config, t } from "./texts.js";

const session = new Session({ opened: onOpened, ended: onEnded, trouble: onTrouble });
const claim = new ClaimBanner(session);

function onOpened() {
  byId("username").textContent = session.username;
  show("signed-in");
  drawLife();
  claim.look();
}

function onEnded(reason) {
  show("signed-out");
  if (reason && reason !== "logout") announce(t(`page.ended_${reason}`));
}

function onTrouble(refusal) {
  show("trouble");
  showRefusal(byId("trouble-message"), refusal);
}

function show(id) {
  for (const part of ["loading", "signed-in", "signed-out", "trouble"]) byId(part).hidden = part !== id;
  for (const link of document.querySelectorAll("[data-signed-out]")) link.hidden = id !== "signed-out";
  for (const link of document.querySelectorAll("[data-signed-in]")) link.hidden = id !== "signed-in";
}

function drawLife() {
  const left = session.secondsLeft;
  byId("token-life").textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
}

function onLogout() {
  return busyWhile(byId("logout"), async () => {
    try {
      await session.logOut();
      announce(t("page.logout_ok"));
      byId("signed-out").querySelector("h1").focus();
    } catch (refusal) {
      showRefusal(byId("form-message"), refusal);
    }
  });
}

async function onRetry() {
  showMessage(byId("trouble-message"), "quiet");
  await busyWhile(byId("retry"), () => session.refresh());
}

byId("logout").addEventListener("click", onLogout);
byId("retry").addEventListener("click", onRetry);
setInterval(() => session.token && drawLife(), 1000);
const reason = takeReason();
if (reason) announce(t(`page.ended_${reason}`));
if (config.has_session) session.refresh();
