// Checks an access token of Haoma in a backend of yours. Node 20 or later, no dependency.
//
//     node docs/examples/verify_token.mjs <site url> <token> [issuer]
//
// prints the claims, or why the token is refused (status 1). The issuer is SITE_URL as it is set there, and by default
// the site url; a development server without SITE_URL has urn:haoma:development.
//
// In a backend make one KeySet when it starts, and call `verify` with the token of each request.

import { createPublicKey, verify as verifySignature } from "node:crypto";

const LEEWAY_S = 30;
const FETCH_TIMEOUT_MS = 3_000;
const [FRESH_MS, STALE_MS] = [300_000, 3_600_000]; // Keys are fetched anew after the first, not used after the second.
const [UNKNOWN_MS, FAILED_MS] = [60_000, 5_000]; // How long an unknown key id, or a failed fetch, asks for no other.
const REQUIRED = ["iss", "aud", "sub", "iat", "nbf", "exp", "jti", "typ", "sid", "ver"];
const TOKEN = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/** The token is not good: answer 401. */
export class TokenRefused extends Error {}

/** Nobody can tell now whether the token is good, as the keys cannot be fetched: answer 503. */
export class KeysUnavailable extends Error {}

/** The public keys of one site, fetched when they are needed and kept for a while. */
export class KeySet {
  #url;
  #keys = new Map();
  #fetchedAt = -Infinity;
  #nextFetchAt = -Infinity;
  #fetching = null;

  constructor(site) {
    this.#url = `${site.replace(/\/+$/, "")}/.well-known/jwks.json`;
  }

  /** The key of that id; TokenRefused if the site has none, KeysUnavailable if that cannot be told. */
  async key(keyId) {
    const now = performance.now();
    const old = now - this.#fetchedAt > FRESH_MS;
    if ((old || !this.#keys.has(keyId)) && now >= this.#nextFetchAt) {
      this.#nextFetchAt = now + FAILED_MS;
      this.#fetching = this.#fetch(now);
    }
    await this.#fetching;
    if (now - this.#fetchedAt > STALE_MS) throw new KeysUnavailable(`${this.#url} cannot be read`);
    if (!this.#keys.has(keyId)) throw new TokenRefused("it is signed with an unknown key");
    return this.#keys.get(keyId);
  }

  /** Strangers choose the key id, so they must not be able to make us ask more often than we want to. */
  async #fetch(now) {
    try {
      const answer = await fetch(this.#url, { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
      if (!answer.ok) return;
      const ours = (await answer.json()).keys.filter(({ kty, crv }) => kty === "OKP" && crv === "Ed25519");
      this.#keys = new Map(ours.map((key) => [key.kid, createPublicKey({ key, format: "jwk" })]));
      [this.#fetchedAt, this.#nextFetchAt] = [now, now + UNKNOWN_MS];
    } catch {
      // What we have is used on, for an hour.
    }
  }
}

/** The claims of a good token; TokenRefused, or KeysUnavailable. */
export async function verify(token, { keys, issuer }) {
  if (typeof token !== "string" || !TOKEN.test(token)) throw new TokenRefused("it is no token");
  const [head, body, signature] = token.split(".");
  const header = read(head);
  // Nobody has vouched for the header yet: it must be just what Haoma writes, and chooses nothing but the key.
  const { alg, kid, typ } = header;
  if (Object.keys(header).length !== 3 || alg !== "EdDSA" || typ !== "at+jwt" || typeof kid !== "string") {
    throw new TokenRefused("its header is not that of an access token");
  }
  const key = await keys.key(kid);
  const signed = verifySignature(null, Buffer.from(`${head}.${body}`), key, Buffer.from(signature, "base64url"));
  if (!signed) throw new TokenRefused("its signature is wrong");
  return judge(read(body), issuer);
}

function read(part) {
  try {
    const found = JSON.parse(Buffer.from(part, "base64url").toString());
    if (found !== null && typeof found === "object" && !Array.isArray(found)) return found;
  } catch {
    // It is none, as below.
  }
  throw new TokenRefused("it is no token");
}

function judge(claims, issuer) {
  const missing = REQUIRED.filter((name) => !Object.hasOwn(claims, name));
  if (missing.length) throw new TokenRefused(`it has no ${missing.join(", ")}`);
  if (claims.iss !== issuer || claims.aud !== issuer) throw new TokenRefused("it is of another issuer");
  if (claims.typ !== "access") throw new TokenRefused("it is no access token");
  const { iat, nbf, exp } = claims;
  if (![iat, nbf, exp].every(Number.isInteger)) throw new TokenRefused("its times are none");
  const now = Date.now() / 1000;
  if (now + LEEWAY_S < Math.max(iat, nbf)) throw new TokenRefused("it is not valid yet");
  if (now - LEEWAY_S >= exp) throw new TokenRefused("it has expired");
  return claims;
}

/** Check one token and say what came of it. */
async function main(site, token, issuer = site) {
  try {
    console.log(JSON.stringify(await verify(token, { keys: new KeySet(site), issuer }), null, 2));
  } catch (fault) {
    if (!(fault instanceof TokenRefused) && !(fault instanceof KeysUnavailable)) throw fault;
    console.log(fault instanceof TokenRefused ? "refused:" : "cannot be checked:", fault.message);
    process.exitCode = 1;
  }
}

if (process.argv[1]?.endsWith("verify_token.mjs")) {
  const given = process.argv.slice(2);
  if (given.length !== 2 && given.length !== 3) {
    console.error("usage: verify_token.mjs <site url> <token> [issuer]");
    process.exitCode = 1;
  } else await main(...given);
}
