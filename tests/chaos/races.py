"""People and thieves who come at the same moment, on two servers: one of them wins, and nobody gets both (RC-1 to
RC-7 in docs/security.md)."""

import asyncio
import base64
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from server.clock import Clock
from server.container import open_services
from server.services import Services
from server.services.otp import derive_code
from server.settings import SECRETS
from server.settings import Settings as AllSettings
from server.stores.codes import CodeRules, CodeStore
from server.stores.mongo import Mongo
from server.stores.redis import Redis
from tests.chaos.world import Server, Table, number, open_servers, open_stores
from tests.helpers import PASSWORD, Answer, RestClient

AT_ONCE = 6  # rounds beside each other
# A code this old is not repeated by a resend, which then makes a new one.
LIFE_S, STALE_AFTER_S = 10, 6.5


@dataclass
class Racers:
    """Two servers, and a third process that knows their keys: it reads codes, and closes accounts as an operator."""

    servers: list[Server]
    services: Services
    codes: CodeStore
    settings: AllSettings

    def rest(self, place: int) -> RestClient:
        """The client of one of the servers, by turns."""
        return self.servers[place % 2].rest

    async def send(self, place: int, mobile: str, purpose: str, **more: str) -> dict[str, str]:
        """Asks for an SMS: `{transaction, sms_code}`."""
        token = more.pop("token", "")
        body = {"mobile": mobile, "purpose": purpose} | more
        answer = await self.rest(place).post("/user/sms/", body, **(bearer(token) if token else {}))
        assert answer.status == 202, answer.body
        transaction = answer.body["transaction"]
        return {"transaction": transaction, "sms_code": await self.code(transaction, mobile)}

    async def code(self, transaction: str, mobile: str) -> str:
        """What stands in the SMS; "" for one that is over."""
        record = await self.codes.get_record(transaction)
        if record is None:
            return ""
        has = record.fields
        words = {"purpose": has["purpose"], "mobile": mobile, "transaction": transaction, "nonce": has["nonce"]}
        return derive_code(self.settings.ring("CODE_KEYS"), has["key"], **words) or ""

    async def register(self, place: int, mobile: str, password: str = PASSWORD) -> Answer:
        form = {"mobile": mobile, "password": password} | await self.send(place, mobile, "register")
        made = await self.rest(place).post("/user/", form)
        assert made.status == 201, made.body
        return made

    async def login(self, place: int, mobile: str, password: str) -> Answer:
        return await self.rest(place).post("/user/login/", {"account": mobile, "password": password})

    async def refresh(self, place: int, opened: Answer) -> Answer:
        cookie = str(opened.headers["Set-Cookie"]).partition(";")[0]
        return await self.rest(place).post("/user/refresh/", {}, Cookie=cookie, Sec_Fetch_Site="same-origin")

    async def lets_in(self, place: int, opened: Answer) -> bool:
        """Whether its token or its cookie is still good for anything."""
        token = bearer(opened.body["token"])
        if (await self.rest(place).ask("PATCH", "/user/me/", {}, **token)).status != 401:
            return True
        return (await self.refresh(place, opened)).status != 401


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def open_racers(directory: Path, **given: str) -> AsyncIterator[Racers]:
    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(open_stores(directory))
        secrets = {name: f"k1:{base64.b64encode(os.urandom(32)).decode()}" for name in SECRETS}
        common = {"SMS_BUDGET_MINUTE": "60000", "SMS_BUDGET_DAY": "1000000", "CAPTCHA_PROVIDER": "none"}
        # Each asks from an address of its own.
        environ = stores | secrets | common | {"TRUSTED_PROXIES": "127.0.0.1", "LIMITS": "observe"} | given
        servers = await stack.enter_async_context(open_servers(directory, 2, environ))
        settings = AllSettings.from_env(environ | {"VAR_DIR": str(directory / "var")})
        clock = Clock()
        redis = Redis(settings.redis_url, clock=clock)
        stack.push_async_callback(redis.aclose)
        mongo = Mongo(settings.mongo_url)
        stack.push_async_callback(mongo.aclose)
        services = await stack.enter_async_context(open_services(settings, mongo=mongo, redis=redis, clock=clock))
        yield Racers(servers, services, CodeStore(redis, CodeRules()), settings)


# Each race takes its round's number and answers what happened; OUTCOMES says which of that may.
Race = Callable[[Racers, int], Awaitable[str]]


async def one_number(racers: Racers, place: int) -> str:
    """RC-1: four who each have a code to the same number, and each a password of their own."""
    mobile = number(place)
    ways = [await racers.send(n, mobile, "register") for n in range(4)]
    forms = [{"mobile": mobile, "password": f"{PASSWORD} {n}"} | way for n, way in enumerate(ways)]
    answers = await asyncio.gather(*(racers.rest(n).post("/user/", form) for n, form in enumerate(forms)))
    won = [n for n, answer in enumerate(answers) if answer.status == 201]
    if len(won) != 1 or Counter(answer.status for answer in answers) != {201: 1, 409: 3}:
        return f"{[answer.status for answer in answers]}"
    loser = (won[0] + 1) % 4
    logins = [await racers.login(place, mobile, f"{PASSWORD} {n}") for n in (won[0], loser)]
    return "one account" if [login.status for login in logins] == [200, 401] else "a loser signs in"


async def one_code(racers: Racers, place: int) -> str:
    """RC-2: one code, sent eight times at once."""
    mobile = number(place)
    form = {"mobile": mobile, "password": PASSWORD} | await racers.send(place, mobile, "register")
    answers = await asyncio.gather(*(racers.rest(n).post("/user/", form) for n in range(8)))
    found = Counter(answer.status for answer in answers)
    return "one use" if found[201] == 1 and found[400] + found[409] == 7 else str(dict(found))


async def one_sms(racers: Racers, place: int) -> str:
    """RC-3: twenty ask for an SMS to one number at once."""
    body = {"mobile": number(place * 10_007), "purpose": "register"}  # no neighbours, no common block
    address = {"X_Forwarded_For": f"10.{place >> 16 & 255}.{place >> 8 & 255}.{place & 255}"}
    answers = await asyncio.gather(*(racers.rest(n).post("/user/sms/", body, **address) for n in range(20)))
    found = Counter(answer.status for answer in answers)
    return "one SMS" if found == {202: 1, 429: 19} else str(dict(found))


async def register_or_move(racers: Racers, place: int) -> str:
    """RC-4: one registers a number, another moves to it."""
    old, wanted = number(place), number(place + 1_000_000)
    made = await racers.register(place, old)
    token = made.body["token"]
    new = {"mobile": wanted, "password": PASSWORD} | await racers.send(place, wanted, "register")
    first, second = [
        await racers.send(place, mobile, purpose, token=token)
        for mobile, purpose in ((old, "change-old"), (wanted, "change-new"))
    ]
    moved = {"password": PASSWORD, "new_mobile": wanted} | first | {f"new_{k}": v for k, v in second.items()}
    answers = await asyncio.gather(
        racers.rest(place).post("/user/", new), racers.rest(place + 1).post("/user/mobile/", moved, **bearer(token))
    )
    statuses = [answer.status for answer in answers]
    if statuses not in ([201, 409], [409, 200]):
        return str(statuses)
    free = (await racers.rest(place).get(f"/user/mobile/{old}/")).status == 200
    return "one holder" if free == (statuses[1] == 200) else "the loser lost his number"


async def change_or_login(racers: Racers, place: int) -> str:
    """RC-5: the password is changed while others sign in with the old one, and refresh what they have."""
    mobile = number(place)
    mine = await racers.register(place, mobile)
    theirs = await racers.login(place, mobile, PASSWORD)
    change = {"password": PASSWORD, "new_password": f"{PASSWORD}, new"}
    changed, *others = await asyncio.gather(
        racers.rest(place).post("/user/password/", change, **bearer(mine.body["token"])),
        racers.login(place, mobile, PASSWORD),
        racers.login(place + 1, mobile, PASSWORD),
        racers.refresh(place + 1, theirs),
    )
    if changed.status != 204:
        return f"changed {changed.status}"
    opened = [answer for answer in (theirs, *others) if answer.status == 200]
    survivors = [await racers.lets_in(n, answer) for n, answer in enumerate(opened)]
    return "none survives" if not any(survivors) else "an old session survives"


async def resend_or_check(racers: Racers, place: int) -> str:
    """RC-6: a code is used while a resend makes a new one."""
    mobile = number(place)
    first = await racers.send(place, mobile, "register")
    await asyncio.sleep(STALE_AFTER_S)
    again = {"mobile": mobile, "purpose": "register", "transaction": first["transaction"]}
    form = {"mobile": mobile, "password": PASSWORD} | first
    used, resent = await asyncio.gather(
        racers.rest(place).post("/user/", form), racers.rest(place + 1).post("/user/sms/", again)
    )
    if resent.status != 202:
        return "the old code, no new one" if used.status == 201 else f"{used.status} {resent.status}"
    form["sms_code"] = await racers.code(first["transaction"], mobile)
    if not form["sms_code"]:
        return "the old code, the new one over" if used.status == 201 else f"{used.status}, and no code left"
    second = await racers.rest(place).post("/user/", form)
    successes = [used.status, second.status].count(201)
    return "one of the codes" if successes == 1 else f"{successes} of the codes"


async def disable_or_refresh(racers: Racers, place: int) -> str:
    """RC-7: an account is disabled while its sessions are refreshed and one more is opened."""
    mobile = number(place)
    made = await racers.register(place, mobile)
    _, *others = await asyncio.gather(
        racers.services.accounts.disable(made.body["id"], by="hm_operator"),
        racers.refresh(place, made),
        racers.refresh(place + 1, made),
        racers.login(place + 1, mobile, PASSWORD),
    )
    opened = [answer for answer in (made, *others) if answer.status == 200]
    survivors = [await racers.lets_in(n, answer) for n, answer in enumerate(opened)]
    return "none is good" if not any(survivors) else "a session outlives it"


RACES: dict[str, tuple[Race, set[str], dict[str, str]]] = {
    "RC-1": (one_number, {"one account"}, {}),
    "RC-2": (one_code, {"one use"}, {}),
    "RC-3": (one_sms, {"one SMS"}, {"LIMITS": "enforce"}),
    "RC-4": (register_or_move, {"one holder"}, {}),
    "RC-5": (change_or_login, {"none survives"}, {}),
    "RC-6": (
        resend_or_check,
        {"one of the codes", "the old code, no new one", "the old code, the new one over"},
        {"SMS_EXPIRE_S": str(LIFE_S), "SMS_INTERVAL_S": "1"},
    ),
    "RC-7": (disable_or_refresh, {"none is good"}, {}),
}


async def run(directory: Path, *, race: str, rounds: int) -> Table:
    """One of RACES, so many times."""
    step, allowed, settings = RACES[race]
    table = Table(f"{race}: {(step.__doc__ or '').strip().partition(': ')[2]}")
    numbers = count(1)
    found: Counter[str] = Counter()

    async def turns(racers: Racers, turns: int) -> None:
        for _ in range(turns):
            found[await step(racers, next(numbers))] += 1

    # Rounds of RC-6 wait most of the time.
    beside = min(rounds, AT_ONCE * 8 if race == "RC-6" else AT_ONCE)
    async with open_racers(directory, **settings) as racers:
        shares = [rounds // beside + (n < rounds % beside) for n in range(beside)]
        await asyncio.gather(*(turns(racers, share) for share in shares))
    for outcome, times in found.most_common():
        table.require(outcome, times, holds=outcome in allowed)
    table.require("rounds", found.total(), holds=found.total() == rounds)
    return table
