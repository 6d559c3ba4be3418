"""What lets it grow: each step touches one slot of a Cluster, and no key lives or grows without a bound."""

import re
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from redis.crc import key_slot

from server.stores.controls import CONTROLS_MAX
from server.stores.jobs import QUEUE_MAX
from server.stores.redis import Redis
from tests.conftest import Stack
from tests.helpers import MOBILE, PASSWORD
from tests.people import code_for, monitor, operator, sign_in, sign_up
from tests.rigs import ClusterRig, Server
from tests.test_architecture import SERVER

pytestmark = pytest.mark.gen_test(timeout=130)
Start = Callable[..., Coroutine[Any, Any, Stack]]
OTHER, GONE, LATE = "15400000002", "15400000003", "15400000004"
# What does not end by itself, and how many members it has at most, however many people there are.
LASTING = {
    r"jobs:\{\w+\}:stream": QUEUE_MAX,  # sends beyond are refused
    r"jobs:\{\w+\}:dead": 11_000,  # MAXLEN ~ 10,000
    r"provider:\{sms\}:\w+": 20,  # fields of one vendor
    r"monitor:\{monitor\}:processes": 1_000,  # those that are silent are dropped
    r"control:\{control\}": CONTROLS_MAX,
}
# Bounds of what ends by itself but could grow until then.
GROWING = {
    r"limit:\{\w+\}:sends:\w+": 100,  # accepted in a day; the interval alone keeps it far below
    r"limit:\{\w+\}:open:\w+": 100,
    r"limit:\{\w+\}:wrongs?:\w+:[\w-]+": 200,
    r"limit:\{\w+\}:login:\w+": 5,
    r"limit:\{\w+\}:[\w.]+:[\w.:-]+": 202,
    r"sms:\{\w+\}:trace:.+": 60,
    r"sms:\{\w+\}:traces:\w+": 20,
    r"sms:\{\w+\}:tx:.+": 40,
    r"sms:\{\w+\}:interval:\w+": 5,
    r"sms:masked:.+": 20,
    r"sessions:\{\w+\}": 10,
    r"session:\{\w+\}:.+": 30,
    r"conversion:\{\w+\}:\w+:\w+": 5_000,
    r"monitor:\{monitor\}:\d+:\d+": 1_000,
    r"jobs:\{\w+\}:job:.+": 40,
    r"members:\{members\}": 1_000,
    r"free:\{\w+\}:pen": 2,
    r"message:\w+": 5,
    r"repeat:.+": 5,
}
_COUNT = {"hash": "HLEN", "zset": "ZCARD", "set": "SCARD", "list": "LLEN", "stream": "XLEN"}


def _bound(key: str, bounds: dict[str, int]) -> int | None:
    return next((most for pattern, most in bounds.items() if re.fullmatch(pattern, key)), None)


def _keys(rig: ClusterRig) -> Iterator[tuple[Server, str]]:
    """Every key of every master."""
    for master in rig.masters:
        for key in master.ask("KEYS", "*"):
            yield master, key


def _fault(master: Server, key: str) -> str:
    """What stands against a key."""
    kind, ends, lasting = master.ask("TYPE", key), master.ask("PTTL", key), _bound(key, LASTING)
    if ends == -1 and lasting is None:
        return f"{key} never ends"
    if kind not in _COUNT:  # a text, or it has ended while we looked
        return ""
    most = lasting or _bound(key, GROWING)
    if most is None:
        return f"nobody says how large {key} may become"
    count = master.ask(_COUNT[kind], key)
    return f"{key} has {count} members" if count > most else ""


@pytest.fixture
def slots(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[int]]:
    """The slots of each step that was run; several of them mean a step that only a single server can do."""
    wide: dict[str, set[int]] = {}
    run = Redis.run

    async def noting(self: Redis, script: str, keys: list[str], *args: Any, **options: Any) -> Any:
        found = {key_slot(key.encode()) for key in keys}
        wide[script] = found if len(found) > 1 else wide.get(script, found)
        return await run(self, script, keys, *args, **options)

    monkeypatch.setattr(Redis, "run", noting)
    return wide


async def _story(stack: Stack) -> None:
    """What people and operators do on a day, with the mistakes that they make."""
    rest, page = stack.rest(), await stack.page()
    watching = await monitor(stack, await operator(stack))
    await page.ask("mobile.check", mobile=MOBILE)
    first = await page.ask("sms.send", mobile=MOBILE, purpose="register")
    await page.state("delivered")
    form = {"mobile": MOBILE, "password": PASSWORD, "transaction": first["data"]["transaction"]}
    assert (await page.ask("user.register", **form, sms_code="000000"))["type"] == "error"
    stack.clock.advance(61)
    await sign_up(stack, MOBILE, Idempotency_Key="5f1c9e0a-once")
    assert (await sign_in(rest, "a wrong password")).status == 401
    login = await sign_in(rest)
    cookie = str(login.headers["Set-Cookie"]).partition(";")[0]
    assert (await rest.post("/user/refresh/", {}, Cookie=cookie, Sec_Fetch_Site="same-origin")).status == 200
    by_code = {"mobile": MOBILE} | await code_for(stack, MOBILE, "login")
    assert (await rest.post("/user/login/", by_code)).status == 200
    stack.clock.advance(61)
    reset = {"mobile": MOBILE, "new_password": PASSWORD + "!"} | await code_for(stack, MOBILE, "reset")
    sent = len(stack.provider.sent)
    assert (await rest.post("/user/password/reset/", reset)).status == 204
    await stack.provider.nth(sent + 1)  # the notice that it was reset
    await sign_up(stack, OTHER)
    claim = {"mobile": OTHER} | await code_for(stack, OTHER, "claim")
    assert (await rest.post("/user/claim/", claim)).status < 300
    stack.provider.refuse("permanent")
    await page.ask("sms.send", mobile=GONE, purpose="register")
    await page.state("failed")
    wrong = {"mobile": LATE, "password": PASSWORD} | await code_for(stack, LATE) | {"sms_code": "000000"}
    assert (await rest.post("/user/", wrong)).status == 400
    assert (await sign_in(rest, "a wrong password")).status == 401
    for act, data in (
        ("provider.pause", {"name": "scripted"}),
        ("provider.resume", {"name": "scripted"}),
        ("block.add", {"kind": "prefix", "value": "1541111", "minutes": 5}),
        ("uniqueness.set", {"mode": "captcha"}),
        ("monitor.user", {"mobile": MOBILE}),
        ("monitor.timeline", {"mobile": MOBILE}),
    ):
        answer = await watching.ask(act, **data)
        assert answer["type"] != "error", answer
    await watching.next_event("monitor.tick")


async def test_after_a_whole_day_each_key_ends_or_has_a_bound(cluster_rig: ClusterRig, start: Start) -> None:
    """No list, set or stream grows with the people; what is not known here has to be thought about first."""
    stack = await start(REDIS_URL=cluster_rig.url)
    await _story(stack)
    found = [*_keys(cluster_rig)]
    assert [fault for master, key in found if (fault := _fault(master, key))] == []
    for family in [*LASTING, *GROWING]:
        assert any(re.fullmatch(family, key) for _, key in found), f"{family} is nowhere to be seen"
    assert len({master.port for master, _ in found}) == 3


async def test_every_step_of_a_whole_day_is_on_one_slot(
    cluster_rig: ClusterRig, start: Start, slots: dict[str, set[int]]
) -> None:
    """So it can be done on any node, and moves with it."""
    await _story(await start(REDIS_URL=cluster_rig.url))
    assert {script for script, found in slots.items() if len(found) > 1} == set()
    assert len(slots) > 20, sorted(slots)


def test_nothing_goes_through_all_keys() -> None:
    """A billion of them would take minutes."""
    sources = [path.read_text(encoding="utf-8") for kind in ("py", "lua") for path in SERVER.rglob(f"*.{kind}")]
    assert not [found for source in sources for found in re.findall(r"[\"'](?:SCAN|KEYS|RANDOMKEY)[\"']", source)]
    assert not [source for source in sources if "scan_iter" in source]
