// A new password for a forgotten one.

import { makeCall } from "./api.js";
import { callWithCaptcha } from "./captcha.js";
import { CodeField } from "./code-field.js";
import { showConnection } from "./connection.js";
import { busyWhile, byId, showFaults, showMessage, showRefusal, wireReveals } from "./fields.js";
import { keepNumber } from "./handover.js";
import { NumberField } from "./number.js";
import { PasswordField } from "./password-field.js";
import { PageSocket } from "./socket.js";

const form = byId("reset-form");
const message = byId("form-message");
const submit = byId("submit");
const socket = new PageSocket("/ws");
const call = makeCall(socket);
const number = new NumberField({ input: form.elements.mobile, changed: onNumberChanged });
const code = new CodeField({
  purpose: "reset", socket, call, form, message,
  mobile: () => number.mobile,
  sendable: () => number.sendable,
});
const password = new PasswordField({ input: form.elements.new_password, mobile: () => number.mobile });

function onNumberChanged() {
  code.follow();
  password.drawStrength();
}

function faultsNow() {
  const faults = { sms_code: code.fault(), new_password: password.fault() };
  return Object.fromEntries(Object.entries(faults).filter(([, fault]) => fault));
}

function onSubmit(event) {
  event.preventDefault();
  number.complain();
  const faults = faultsNow();
  if (!number.mobile || Object.keys(faults).length) return showFaults(form, message, faults);
  return busyWhile(submit, reset);
}

async function reset() {
  const { mobile } = number;
  showMessage(message, "quiet");
  try {
    await callWithCaptcha(call, "password.reset", { mobile, new_password: password.value, ...code.proof });
    showSuccess(mobile);
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

function showSuccess(mobile) {
  code.clear();
  keepNumber(mobile);
  byId("form-side").hidden = true;
  byId("success").hidden = false;
  byId("success").querySelector("h1").focus();
}

async function pickUp() {
  if (code.sms.transaction) return;
  const mobile = await code.sms.restore();
  if (mobile && !number.input.value) number.fill(mobile);
}

wireReveals();
showConnection(socket);
form.addEventListener("submit", onSubmit);
pickUp();
