// The number is mine now, and somebody else's account has it.

import { makeCall } from "./api.js";
import { callWithCaptcha } from "./captcha.js";
import { CodeField } from "./code-field.js";
import { showConnection } from "./connection.js";
import { busyWhile, byId, showFaults, showMessage, showRefusal } from "./fields.js";
import { takeNumber } from "./handover.js";
import { NumberField } from "./number.js";
import { PageSocket } from "./socket.js";
import { dateText, t } from "./texts.js";

const form = byId("claim-form");
const message = byId("form-message");
const socket = new PageSocket("/ws");
const call = makeCall(socket);
const number = new NumberField({ input: form.elements.mobile, changed: () => code.follow() });
const code = new CodeField({
  purpose: "claim", socket, call, form, message,
  mobile: () => number.mobile,
  sendable: () => number.sendable,
});

function onSubmit(event) {
  event.preventDefault();
  number.complain();
  const fault = code.fault();
  if (!number.mobile || fault) return showFaults(form, message, fault ? { sms_code: fault } : {});
  return busyWhile(byId("submit"), claim);
}

async function claim() {
  const { mobile } = number;
  showMessage(message, "quiet");
  try {
    const { due_at } = await callWithCaptcha(call, "mobile.claim", { mobile, ...code.proof });
    showSuccess(mobile, due_at);
  } catch (refusal) {
    onRefused(refusal);
  }
}

function onRefused(refusal) {
  if (refusal.params?.fields) return showFaults(form, message, refusal.params.fields);
  if (refusal.code !== "sms_code_invalid") return showRefusal(message, refusal);
  if (socket.state !== "live") code.sms.resync();
  return showFaults(form, message, { sms_code: refusal.message });
}

function showSuccess(mobile, due) {
  code.clear();
  byId("claim-number").textContent = t("page.claim_ok_due", { mobile });
  byId("claim-due").textContent = dateText(due);
  byId("form-side").hidden = true;
  byId("success").hidden = false;
  byId("success").querySelector("h1").focus();
}

async function pickUp() {
  if (code.sms.transaction) return;
  const mobile = await code.sms.restore();
  if (mobile && !number.input.value) number.fill(mobile);
}

showConnection(socket);
form.addEventListener("submit", onSubmit);
const brought = takeNumber();
if (brought) number.fill(brought);
pickUp();
