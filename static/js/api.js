// One way to ask the server: over the websocket while it is live, over REST otherwise.

import { connectionLost, Refusal } from "./socket.js";
import { t, withLanguage } from "./texts.js";

// Less than the grace in which a refresh token that was used may be used again.
const TIMEOUT_MS = 9_000;
const CODE_OF_STATUS = { 429: "rate_limited", 503: "unavailable" };

const get = (path, captcha) => ({ method: "GET", path, captcha });
const post = (path, body) => ({ method: "POST", path, body });

const ROUTES = {
  "mobile.check": ({ mobile, captcha }) => get(`/user/mobile/${encodeURIComponent(mobile)}/`, captcha),
  "captcha.new": (data) => get(`/user/captcha/?${new URLSearchParams(data)}`),
  "captcha.check": (data) => post("/user/captcha/", data),
  "sms.send": (data) => post("/user/sms/", data),
  "sms.watch": ({ transaction, after = 0, wait = 0 }) => ({
    ...get(`/user/sms/${encodeURIComponent(transaction)}/?after=${after}&wait=${wait}`), wait,
  }),
  "user.register": (data) => post("/user/", data),
  "session.login": (data) => post("/user/login/", data),
  "password.change": (data) => post("/user/password/", data),
  "password.reset": (data) => post("/user/password/reset/", data),
  "mobile.change": (data) => post("/user/mobile/", data),
  "mobile.claim": (data) => post("/user/claim/", data),
  "mobile.recover": (data) => post("/user/mobile/recovery/", data),
  "claim.get": () => get("/user/claim/"),
  "claim.refuse": () => ({ method: "DELETE", path: "/user/claim/" }),
  "profile.get": () => get("/user/me/"),
  "profile.update": (data) => ({ method: "PATCH", path: "/user/me/", body: data }),
  "account.delete": (data) => ({ method: "DELETE", path: "/user/me/", body: data }),
  "admin.ticket": () => post("/admin/ticket/", {}),
  "session.list": () => get("/user/sessions/"),
  "session.end": ({ id }) => ({ method: "DELETE", path: `/user/sessions/${encodeURIComponent(id)}/` }),
  "session.end_others": () => ({ method: "DELETE", path: "/user/sessions/" }),
  "session.refresh": () => post("/user/refresh/", {}),
  "session.logout": () => post("/user/logout/", {}),
};
// These set or read the session cookie, which a websocket cannot.
const COOKIE_BOUND = new Set(["user.register", "session.login", "session.refresh", "session.logout", "account.delete", "admin.ticket"]);
// An answer to GeeTest may be longer than a message of the websocket.
const LONG = new Set(["captcha.check"]);
// Asking these twice does no harm, so an answer lost with the connection is asked for again.
const REPEATABLE = new Set(["mobile.check", "captcha.new", "sms.watch", "profile.get", "claim.get", "claim.refuse", "session.list"]);

/**
 * call(type, data, signal) → the reply's data, or a Refusal; an aborted `signal` ends a request over REST. `token()` is
 * the access token to send along there, or null.
 */
export function makeCall(socket = null, token = () => null) {
  return async (type, data = {}, signal = null) => {
    if (socket?.state !== "live" || COOKIE_BOUND.has(type) || LONG.has(type)) return overRest(type, data, signal, token());
    try {
      return await socket.ask(type, data);
    } catch (refusal) {
      if (refusal.code !== "connection_lost" || !REPEATABLE.has(type)) throw refusal;
      return overRest(type, data, signal, token());
    }
  };
}

async function overRest(type, data, signal, token) {
  try {
    return await request(ROUTES[type](data), signal, token);
  } catch (refusal) {
    return checkedAnyway(type, data, refusal);
  }
}

/** A taken or unknown number is an answer to "is it free?", not a failure. */
function checkedAnyway(type, { mobile }, refusal) {
  if (type !== "mobile.check") throw refusal;
  if (refusal.code === "mobile_taken") return { mobile, available: false };
  if (refusal.code === "check_unavailable") return { mobile, available: null };
  throw refusal;
}

async function request({ method, path, body, captcha, wait = 0 }, signal, token) {
  const headers = { Accept: "application/json" };
  if (body) headers["Content-Type"] = "application/json";
  if (captcha) headers["X-Captcha"] = captcha;
  if (token) headers.Authorization = `Bearer ${token}`;
  const response = await fetch(withLanguage(path), {
    method,
    headers,
    body: body && JSON.stringify(body),
    cache: "no-store",
    signal: endOf(TIMEOUT_MS + wait * 1000, signal),
  }).catch(() => { throw connectionLost(); });
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  throw new Refusal({ ...(answer?.error ?? unreadable(response)), status: response.status });
}

function endOf(ms, signal) {
  const late = AbortSignal.timeout(ms);
  return signal ? AbortSignal.any([signal, late]) : late;
}

function unreadable(response) {
  const wait = Number(response.headers.get("Retry-After"));
  return {
    code: CODE_OF_STATUS[response.status] ?? "internal_error",
    message: t("page.server_error"),
    params: wait > 0 ? { retry_after: wait } : {},
    request_id: response.headers.get("X-Request-Id"),
  };
}
