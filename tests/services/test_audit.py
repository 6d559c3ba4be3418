"""The audit: what happened to an account, in a chain that shows whatever was done to it."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from server.audit_events import EVENTS
from server.errors import StoreUnavailable
from server.feed import Feed
from server.services.audit import AuditService, verify
from server.stores.audit import AuditStore, hash_of
from server.stores.mongo import Mongo
from tests.conftest import Stack
from tests.helpers import MOBILE, PASSWORD, ROOT, RestClient, servers
from tests.people import bearer, code_for, sign_in, sign_up

pytestmark = pytest.mark.gen_test(timeout=60)


async def entries(stack: Stack) -> list[dict[str, Any]]:
    return [entry async for entry in AuditStore(stack.mongo).all()]


async def filled(stack: Stack, count: int = 5) -> AuditStore:
    store = AuditStore(stack.mongo)
    await store.append([{"key": str(n), "event": "session.opened", "user": "u"} for n in range(count)])
    return store


async def test_each_event_of_an_account_is_kept_with_where_it_came_from(stack: Stack) -> None:
    """Registering, coming in and not, leaving; without a number, a password or a code in full."""
    made = await sign_up(stack, User_Agent="Mozilla/5.0 (Windows NT 10.0) Chrome/131.0")
    rest, token = stack.rest(), bearer(made.body["token"])
    await sign_in(rest, "wrong password")
    opened = await sign_in(rest)
    own = await code_for(stack, purpose="login")
    await rest.post("/user/login/", {"mobile": MOBILE} | own)
    await rest.ask("PATCH", "/user/me/", {"age": 30}, **token)
    await rest.ask("DELETE", "/user/sessions/", **token)
    cookie = opened.headers["Set-Cookie"].split(";")[0]
    await rest.post("/user/logout/", {}, Cookie=cookie, Sec_Fetch_Site="same-origin")
    found = await entries(stack)
    assert [entry["event"] for entry in found] == [
        *("user.registered", "session.opened", "session.refused", "session.opened", "session.opened"),
        *("profile.changed", "sessions.ended"),
    ]
    first = found[0]
    assert (first["user"], first["mobile"], first["device"]) == (made.body["id"], "154****0001", "chrome windows")
    assert (first["address"], found[2]["details"]) == ("127.0.0.1", {"why": "credentials_invalid"})
    kept = str(found)
    assert not [part for part in (MOBILE, PASSWORD, own["sms_code"], "wrong password") if part in kept]


async def test_a_refresh_token_that_was_used_before_is_in_the_audit(stack: Stack) -> None:
    """It is the sign of a theft."""
    made = await sign_up(stack)
    given = {"Cookie": made.headers["Set-Cookie"].split(";")[0], "Sec_Fetch_Site": "same-origin"}
    assert (await stack.rest().post("/user/refresh/", {}, **given)).status == 200
    stack.clock.advance(11)
    assert (await stack.rest().post("/user/refresh/", {}, **given)).status == 401
    assert (await entries(stack))[-1]["event"] == "session.reused"


async def test_two_processes_write_one_chain(stack: Stack) -> None:
    """No number twice, none left out, and all that was noted is there."""
    other = Mongo(stack.settings.mongo_url, stack.settings.mongo_driver)
    stores = [AuditStore(stack.mongo), AuditStore(other)]

    async def write(store: AuditStore, name: str) -> None:
        for number in range(60):
            keys = (f"{name}{number}{part}" for part in "xyz")
            await store.append([{"key": key, "event": "session.opened"} for key in keys])

    await asyncio.gather(*(write(store, name) for store, name in zip(stores, "ab", strict=True)))
    await other.aclose()
    number, _ = await verify(AuditStore(stack.mongo))
    assert number == 360
    assert len({entry["key"] for entry in await entries(stack)}) == 360


async def test_what_was_written_though_the_answer_got_lost_is_not_written_twice(stack: Stack) -> None:
    """All of a batch, or a part of it: the same entries again bring what is missing."""
    store, audit = AuditStore(stack.mongo), stack.mongo.db.audit
    batch = [{"key": str(n), "event": "session.opened"} for n in range(4)]
    await store.append(batch)
    await audit.delete_many({"_id": {"$gt": 2}})
    store._head, store._doubt = None, 0
    assert (await store.append(batch))[0] == 4
    assert [entry["key"] for entry in await entries(stack)] == ["0", "1", "2", "3"]
    await verify(AuditStore(stack.mongo))


@pytest.mark.parametrize("what", ["changed", "taken out", "swapped", "put in", "rewritten hash", "cut off"])
async def test_whatever_is_done_to_the_chain_shows(stack: Stack, what: str) -> None:
    """The first entry that is wrong is named; a cut end needs a head that was noted elsewhere."""
    store, audit = await filled(stack), stack.mongo.db.audit
    head = await verify(store)
    assert await verify(store, (3, (await entries(stack))[2]["hash"])) == head
    third, fourth = [entry for entry in await entries(stack) if entry["_id"] in (3, 4)]
    if what == "changed":
        await audit.update_one({"_id": 3}, {"$set": {"user": "x"}})
    elif what == "taken out":
        await audit.delete_one({"_id": 3})
    elif what == "swapped":
        for entry, number in ((third, 4), (fourth, 3)):
            await audit.delete_one({"_id": number})
            await audit.insert_one(entry | {"_id": number})
    elif what == "put in":
        await audit.insert_one(third | {"_id": 6})
    elif what == "rewritten hash":
        forged = third | {"user": "x"}
        await audit.delete_one({"_id": 3})
        await audit.insert_one(forged | {"hash": hash_of(forged)})
    else:
        await audit.delete_one({"_id": 5})
        assert (await verify(store))[0] == 4
    with pytest.raises(ValueError, match=r"entry \d"):
        await verify(store, head)


async def test_what_cannot_be_written_now_is_written_when_mongo_is_back(stack: Stack) -> None:
    """Whoever noted it goes on after a moment; nothing is out of order afterwards."""
    store = AuditStore(stack.mongo)
    real, away = store._insert, asyncio.Event()

    async def failing(chained: list[dict[str, Any]], before: int) -> bool:
        if not away.is_set():
            raise StoreUnavailable("mongo", "away")
        return await real(chained, before)

    store._insert = failing  # type: ignore[method-assign]
    audit = AuditService(store=store, metrics=stack.services.metrics, feed=Feed(), clock=stack.clock)
    await audit.start()
    noting = [asyncio.ensure_future(audit.note("session.opened", user=str(n))) for n in range(3)]
    await asyncio.sleep(0)
    away.set()
    await asyncio.gather(*noting)
    await audit.aclose()
    assert [entry["user"] for entry in await entries(stack)] == ["0", "1", "2"]
    assert (await verify(AuditStore(stack.mongo)))[0] == 3


async def test_the_chain_is_verified_from_the_command_line(tmp_path: Path) -> None:
    """Beside a running server; exit status 0, and 1 for a head that is not in it."""
    async with servers(tmp_path / "var", 1) as (server,):
        rest = RestClient(server.port)
        await rest.post("/user/login/", {"account": MOBILE, "password": PASSWORD})
        status, said = await _verify(tmp_path / "var")
        assert (status, said.split(";")[0]) == (0, "audit: 1 entries, each follows the one before")
        noted = said.rsplit(" ", 1)[1].strip()
        assert (await _verify(tmp_path / "var", "--head", noted))[0] == 0
        status, said = await _verify(tmp_path / "var", "--head", "1:" + "0" * 64)
        assert status == 1
        assert "BROKEN" in said


async def _verify(var_dir: Path, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "tools/verify_audit.py", *arguments),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "VAR_DIR": str(var_dir), "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


def test_every_event_is_documented() -> None:
    """By its name, in docs/security.md."""
    page = (ROOT / "docs" / "security.md").read_text()
    assert [event for event in EVENTS if f"| `{event}` |" not in page] == []
