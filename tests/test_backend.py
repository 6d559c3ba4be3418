"""A customer's own backend: the examples tell a good access token from all others, against a running service."""

import asyncio
import base64
import hashlib
import hmac
import json
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from tests.conftest import Stack
from tests.helpers import MOBILE, PASSWORD, ROOT

pytestmark = pytest.mark.gen_test(timeout=60)
Start = Callable[..., Coroutine[Any, Any, Stack]]
EXAMPLES = ROOT / "docs" / "examples"
ISSUER = "https://haoma.example"
_HEADER = {"alg": "EdDSA", "kid": "t1", "typ": "at+jwt"}
# Node is there as the Makefile has it: beside npm, or else in the environment.
_NODE = shutil.which("node") if shutil.which("npm") else str(Path(sys.executable).parent / "node")
COMMANDS = {
    "python": (sys.executable, str(EXAMPLES / "verify_token.py")),
    "node": (str(_NODE), str(EXAMPLES / "verify_token.mjs")),
}
each_example = pytest.mark.parametrize("example", COMMANDS)


async def run(*command: str) -> tuple[int, str]:
    """Exit status and output; whatever it says on stderr is a fault of the example."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=pipe, stderr=pipe)
    output, errors = await process.communicate()
    assert errors == b"", errors.decode()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def sign_up(stack: Stack) -> dict[str, Any]:
    page = await stack.page()
    transaction = (await page.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]["transaction"]
    code = (await stack.provider.nth(1)).code
    form = {"mobile": MOBILE, "password": PASSWORD, "sms_code": code, "transaction": transaction}
    return dict((await page.ask("user.register", **form))["data"])


class Forger:
    """Has our key, and so can make what we would never sign."""

    def __init__(self, stack: Stack, token: str) -> None:
        self.claims = stack.services.tokens.claims_of(token)
        self.key = Ed25519PrivateKey.from_private_bytes(stack.settings.ring("TOKEN_KEYS").newest[1][:32])

    def sign(self, *, header: dict[str, Any] | None = None, **changed: Any) -> str:
        """Our own token with changes; None takes a claim, or a part of the header, away."""
        return self.signed(_HEADER | (header or {}), self.claims | changed, self.key)

    def signed(self, header: dict[str, Any], claims: dict[str, Any], key: Ed25519PrivateKey) -> str:
        head = ".".join(_part({k: v for k, v in part.items() if v is not None}) for part in (header, claims))
        return f"{head}.{_base64(key.sign(head.encode()))}"

    def bad(self, token: str) -> dict[str, str]:
        """One of each kind, by its name."""
        head, body, signature = token.split(".")
        now = int(time.time())
        public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        pem = self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        none = _part(_HEADER | {"alg": "none"})
        other = _part(self.claims | {"sub": "somebody else"})
        return {
            "another issuer": self.sign(iss="https://evil.example"),
            "another audience": self.sign(aud="https://evil.example"),
            "expired": self.sign(iat=now - 931, nbf=now - 931, exp=now - 31),
            "not yet": self.sign(iat=now + 60, nbf=now + 60, exp=now + 960),
            "alg none": f"{none}.{body}.",
            "alg none, signed": f"{none}.{body}.{signature}",
            "another alg by our key": self.sign(header={"alg": "HS256"}),
            "HS256 with the public key": _hs256(self.claims, public),
            "HS256 with the public key as PEM": _hs256(self.claims, pem),
            "tampered payload": f"{head}.{other}.{signature}",
            "tampered signature": f"{head}.{body}.{signature[::-1]}",
            "no signature": f"{head}.{body}.",
            "unknown kid": self.sign(header={"kid": "t2"}),
            "another's key": self.signed(_HEADER, self.claims, Ed25519PrivateKey.generate()),
            "no kid": self.sign(header={"kid": None}),
            "typ JWT": self.sign(header={"typ": "JWT"}),
            "claim typ": self.sign(typ="refresh"),
            "jku": self.sign(header={"jku": "https://evil.example/jwks.json"}),
            "times that are none": self.sign(exp="tomorrow"),
            "garbage": "a.b.c",
            "nothing": "",
            "no JSON": f"{_base64(b'[' * 3000)}.{body}.{signature}",
            **{f"no {name}": self.sign(**{name: None}) for name in self.claims if name != "preferred_username"},
        }


def _part(found: Any) -> str:
    return _base64(json.dumps(found).encode())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _hs256(claims: dict[str, Any], secret: bytes) -> str:
    head = f"{_part(_HEADER | {'alg': 'HS256'})}.{_part(claims)}"
    return f"{head}.{_base64(hmac.digest(secret, head.encode(), hashlib.sha256))}"


@each_example
async def test_tok_1_a_backend_takes_a_good_token_and_no_other(start: Start, example: str) -> None:
    """By the public keys alone; the demo's status says which it was. Clocks may differ by half a minute."""
    stack = await start(SITE_URL=ISSUER)
    site = f"http://127.0.0.1:{stack.port}"
    token = (await sign_up(stack))["token"]
    forger, now = Forger(stack, token), int(time.time())
    late = forger.sign(iat=now - 920, nbf=now - 920, exp=now - 20)
    early = forger.sign(iat=now + 20, nbf=now + 20, exp=now + 920)
    for good in (token, late, early):
        status, output = await run(*COMMANDS[example], site, good, ISSUER)
        assert (status, json.loads(output)["sub"]) == (0, forger.claims["sub"])
    for name, bad in forger.bad(token).items():
        status, output = await run(*COMMANDS[example], site, bad, ISSUER)
        assert (status, output.partition(":")[0]) == (1, "refused"), name
    assert (await run(*COMMANDS[example], site, token))[0] == 1, "the site's address is not the issuer here"


@each_example
async def test_keys_that_cannot_be_fetched_are_no_refusal(stack: Stack, example: str) -> None:
    """A backend answers 503 then, not 401, which would sign people out."""
    token = (await sign_up(stack))["token"]
    listener, port = bind_unused_port()
    listener.close()
    status, output = await run(*COMMANDS[example], f"http://127.0.0.1:{port}", token)
    assert (status, output.partition(":")[0]) == (1, "cannot be checked")


# Its clock stands where the list says at each step; the names after it are the key ids that are asked for.
_STEPS = [(0, "t1"), (1, "x"), (59, "y"), (61, "z"), (62, "t1"), (362, "t1"), (363, "t1")]
_WALK = {
    "python": """
import sys, time
sys.path.insert(0, "docs/examples")
import verify_token
keys, now = verify_token.KeySet(sys.argv[1]), [0]
time.monotonic = lambda: now[0]
for at, key_id in {steps}:
    now[0] = at
    try:
        keys.key(key_id)
        print("known")
    except (verify_token.TokenRefused, verify_token.KeysUnavailable) as why:
        print(type(why).__name__)
""",
    "node": """
const { KeySet } = await import(process.cwd() + "/docs/examples/verify_token.mjs");
const keys = new KeySet(process.argv[1]);
let now = 0;
performance.now = () => now * 1000;
for (const [at, keyId] of {steps}) {
  now = at;
  await keys.key(keyId).then(() => console.log("known"), (why) => console.log(why.constructor.name));
}
""",
}
_INTERPRETERS = {"python": (sys.executable, "-c"), "node": (str(_NODE), "--input-type=module", "-e")}


@asynccontextmanager
async def counting(bodies: list[Any]) -> AsyncIterator[tuple[str, list[int]]]:
    """A site whose keys are `bodies`, one a fetch and the last one for ever (None: a fault), and its fetches."""
    fetches: list[int] = []

    class Keys(RequestHandler):
        def get(self) -> None:
            body = bodies[min(len(fetches), len(bodies) - 1)]
            fetches.append(1)
            self.set_status(200 if body else 500)
            self.finish(body or "")

    listener, port = bind_unused_port()
    server = HTTPServer(Application([(r"/\.well-known/jwks\.json", Keys)], log_function=lambda handler: None))
    server.add_sockets([listener])
    yield f"http://127.0.0.1:{port}", fetches
    server.stop()
    await server.close_all_connections()


async def _walk(example: str, site: str, steps: list[tuple[int, str]]) -> list[str]:
    script = _WALK[example].replace("{steps}", json.dumps(steps))
    status, output = await run(*_INTERPRETERS[example], script, site)
    assert status == 0
    return output.split()


@each_example
async def test_an_unknown_key_id_makes_a_backend_ask_once_a_minute(stack: Stack, example: str) -> None:
    """A stranger chooses it; a new key of ours is found all the same, and all keys are renewed by and by."""
    keys = stack.services.tokens.public_keys()
    rotated = {"keys": [*keys["keys"], keys["keys"][0] | {"kid": "z"}]}
    async with counting([keys, rotated]) as (site, fetches):
        said = await _walk(example, site, _STEPS)
    assert said == ["known", "TokenRefused", "TokenRefused", "known", "known", "known", "known"]
    assert len(fetches) == 3


@each_example
async def test_known_keys_are_used_on_for_an_hour_while_none_can_be_fetched(stack: Stack, example: str) -> None:
    """A key that is not there any more is not believed for ever; and after a failure it does not take a minute."""
    keys = stack.services.tokens.public_keys()
    steps = [(0, "t1"), (6, "t1"), (400, "t1"), (3607, "t1"), (3613, "t1")]
    async with counting([None, keys, None, None, keys]) as (site, fetches):
        said = await _walk(example, site, steps)
    assert said == ["KeysUnavailable", "known", "known", "KeysUnavailable", "known"]
    assert len(fetches) == 5
