// The page of one's own account.

import { ask } from "./ask.js";
import { callWithCaptcha } from "./captcha.js";
import { ClaimBanner } from "./claim-banner.js";
import { Devices } from "./devices.js";
import { busyWhile, byId, setVerdict, showFaults, showMessage, showRefusal, wireReveals } from "./fields.js";
import { keepReason } from "./handover.js";
import { NumberCard } from "./number-card.js";
import { PasswordField } from "./password-field.js";
import { Profile } from "./profile.js";
import { Session } from "./session.js";
import { announce, config, t, withLanguage } from "./texts.js";

const session = new Session({ opened: onOpened, ended: onEnded, trouble: onTrouble });
const { call } = session;
const profile = new Profile({ call, shown: showAccount });
const devices = new Devices({ call });
const claim = new ClaimBanner(session);
const number = new NumberCard({ session, moved: onMoved, asked: () => claim.look() });
let begun = false;

// Coming and going

async function onOpened() {
  claim.look();
  if (begun) return;
  begun = true;
  byId("password-username").value = session.username;
  number.wire();
  try {
    await Promise.all([profile.load(), devices.load()]);
    show("signed-in");
  } catch (refusal) {
    begun = false;
    onTrouble(refusal);
  }
}

async function onMoved() {
  await profile.load();
  devices.load();
}

function onEnded(reason) {
  if (reason === "deleted") return leaveTo("/", reason);
  return leaveTo(reason === "logout" ? "/login" : "/login?next=/me", reason);
}

function leaveTo(path, reason) {
  if (reason && reason !== "logout") keepReason(reason);
  window.location.assign(withLanguage(path));
}

function onTrouble(refusal) {
  if (!byId("signed-in").hidden) return;
  show("trouble");
  showRefusal(byId("trouble-message"), refusal);
}

function show(id) {
  for (const part of ["loading", "trouble", "signed-in"]) byId(part).hidden = part !== id;
}

function showAccount({ name, mobile, created_at }) {
  byId("me-name").textContent = name;
  byId("me-mobile").textContent = mobile || t("page.no_mobile");
  number.show(mobile);
  const day = new Date(created_at * 1000).toLocaleDateString(config.lang, { dateStyle: "medium" });
  byId("me-since").textContent = t("page.since", { day });
}

// Password

const passwordForm = byId("password-form");
const newPassword = new PasswordField({ input: passwordForm.elements.new_password });

function onPasswordSubmit(event) {
  event.preventDefault();
  const { old_password: old } = passwordForm.elements;
  const faults = faultsOf({ old_password: old.value ? null : t("page.password_empty"), new_password: newPassword.fault() });
  if (faults) return showFaults(passwordForm, byId("password-message"), faults);
  return busyWhile(byId("password-submit"), () => changePassword(old.value));
}

async function changePassword(password) {
  const line = byId("password-message");
  showMessage(line, "quiet");
  try {
    await callWithCaptcha(call, "password.change", { password, new_password: newPassword.value });
    passwordForm.reset();
    newPassword.judge();
    setVerdict(passwordForm.elements.old_password, "hint");
    showMessage(line, "good", t("page.password_changed"));
    devices.load();
  } catch (refusal) {
    showCredentialRefusal(passwordForm, line, "old_password", refusal);
  }
}

// The end

const deleteForm = byId("delete-form");

async function onDeleteSubmit(event) {
  event.preventDefault();
  const { delete_password: password } = deleteForm.elements;
  if (!password.value) return showFaults(deleteForm, byId("delete-message"), { delete_password: t("page.password_empty") });
  if (!(await ask(t("page.delete_title"), t("page.delete_what"), t("page.delete_submit")))) return undefined;
  return busyWhile(byId("delete-submit"), () => deleteAccount(password.value));
}

async function deleteAccount(password) {
  try {
    await session.leave("deleted", () => callWithCaptcha(call, "account.delete", { password }));
  } catch (refusal) {
    showCredentialRefusal(deleteForm, byId("delete-message"), "delete_password", refusal);
  }
}

function onLogout() {
  return busyWhile(byId("logout"), () => session.logOut().catch((refusal) => {
    showMessage(byId("devices-message"), "bad", refusal.message);
    announce(refusal.message);
  }));
}

// Shared

/** Those of the faults that there are, or null. */
function faultsOf(faults) {
  const found = Object.entries(faults).filter(([, fault]) => fault);
  return found.length ? Object.fromEntries(found) : null;
}

/** A wrong password is said at its field. */
function showCredentialRefusal(form, line, field, refusal) {
  if (refusal.code === "credentials_invalid") return showFaults(form, line, { [field]: t("page.password_wrong") });
  if (refusal.params?.fields) return showFaults(form, line, refusal.params.fields);
  return showRefusal(line, refusal);
}

wireReveals();
for (const form of [passwordForm, byId("mobile-form"), deleteForm]) {
  for (const input of form.querySelectorAll("input[autocomplete=current-password]")) {
    input.addEventListener("input", () => setVerdict(input, "hint"));
  }
}
passwordForm.addEventListener("submit", onPasswordSubmit);
deleteForm.addEventListener("submit", onDeleteSubmit);
deleteForm.elements.delete_sure.addEventListener("change", ({ target }) => { byId("delete-submit").disabled = !target.checked; });
byId("logout").addEventListener("click", onLogout);
byId("retry").addEventListener("click", () => busyWhile(byId("retry"), () => session.refresh()));
if (config.has_session) session.refresh();
else onEnded("");
