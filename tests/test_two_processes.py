"""Several `run.py` on the same stores are one service."""

import asyncio
import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import MOBILE, PASSWORD, Answer, PageClient, RestClient, ServerProcess, servers

pytestmark = pytest.mark.gen_test(timeout=90)
_BODY = {"mobile": MOBILE, "purpose": "register"}


async def _inbox(rest: RestClient, count: int) -> list[dict[str, Any]]:
    """The inbox, once it has that many messages (the queue works while we look)."""
    async with asyncio.timeout(15):
        while True:
            found = (await rest.get("/dev/inbox.json")).body
            if len(found) >= count:
                return list(found)


def _form(transaction: str, code: str, password: str = PASSWORD) -> dict[str, str]:
    return {"mobile": MOBILE, "password": password, "sms_code": code, "transaction": transaction}


async def test_rc_3_a_hundred_parallel_sends_over_two_processes_give_one_sms(tmp_path: Path) -> None:
    """Half by websocket, half by REST: one is accepted, 99 are told how long to wait, one SMS leaves."""
    async with servers(tmp_path / "var", 2) as started:
        rests = [RestClient(server.port) for server in started]
        pages = [await PageClient.open(server.port) for server in started for _ in range(2)]
        asked = [pages[n % 4].ask("sms.send", **_BODY) for n in range(50)]
        posted = [rests[n % 2].post("/user/sms/", _BODY) for n in range(50)]
        frames, answers = await asyncio.gather(asyncio.gather(*asked), asyncio.gather(*posted))
        accepted = sum(f["type"] == "sms.queued" for f in frames) + sum(a.status == 202 for a in answers)
        refused = [f["data"]["code"] for f in frames if f["type"] == "error"]
        refused += [a.error["code"] for a in answers if a.status == 429]
        assert accepted == 1
        assert refused == ["sms_too_soon"] * 99
        assert len(await _inbox(rests[0], 1)) == 1
        for page in pages:
            await page.close()


async def test_ws_12_a_page_on_another_process_hears_that_its_number_was_taken(tmp_path: Path) -> None:
    """Pushed, without asking; and the countdown of a send on one process runs on the other."""
    async with servers(tmp_path / "var", 2) as started:
        mine, theirs = [await PageClient.open(server.port) for server in started]
        await theirs.ask("mobile.check", mobile=MOBILE)
        queued = (await mine.ask("sms.send", **_BODY))["data"]
        watched = (await theirs.ask("sms.watch", transaction=queued["transaction"]))["data"]
        assert watched["resend_at"] == queued["resend_at"]
        assert (await theirs.next_event("countdown.tick"))["data"]["remaining"] >= 58
        rest = RestClient(started[0].port)
        code = (await _inbox(rest, 1))[0]["code"]
        assert (await rest.post("/user/", _form(queued["transaction"], code))).status == 201
        assert (await theirs.next_event("mobile.taken"))["data"] == {"mobile": MOBILE}
        await mine.close()
        await theirs.close()


async def test_accounts_survive_kill_nine_and_a_restart(tmp_path: Path) -> None:
    """What was acknowledged is there at the next start."""
    var_dir = tmp_path / "var"
    server = await ServerProcess.start(var_dir)
    rest = RestClient(server.port)
    transaction = (await rest.post("/user/sms/", _BODY)).body["transaction"]
    code = (await _inbox(rest, 1))[0]["code"]
    assert (await rest.post("/user/", _form(transaction, code))).status == 201
    await server.kill()
    async with servers(var_dir, 1) as (again,):
        rest = RestClient(again.port)
        assert (await rest.post("/user/login/", {"account": MOBILE, "password": PASSWORD})).status == 200


async def test_pr_3_sigterm_sends_pages_away_and_ends_clean(tmp_path: Path) -> None:
    """`server.closing` with a moment to come back, close 1001, exit status 0."""
    server = await ServerProcess.start(tmp_path / "var")
    page = await PageClient.open(server.port)
    await page.ask("ping")
    stopping = asyncio.ensure_future(server.stop())
    closing = await page.next_event("server.closing")
    assert 1 <= closing["data"]["retry_after"] <= 10
    assert (await page.closed)[0] == 1001
    assert await stopping == 0


async def test_pr_3_a_request_that_is_running_is_finished_first(tmp_path: Path) -> None:
    """SIGTERM in the middle of a login: it is answered, then the server ends."""
    server = await ServerProcess.start(tmp_path / "var", BCRYPT_COST="13")
    rest = RestClient(server.port)
    login = asyncio.ensure_future(rest.post("/user/login/", {"account": MOBILE, "password": PASSWORD}))
    metric = "haoma_hashes_waiting 1.0"
    while metric not in (await rest.get("/metrics")).body.decode():
        pass
    assert await server.stop() == 0
    assert (await login).status == 401


async def test_an_orderly_stop_is_told_in_the_log(tmp_path: Path) -> None:
    """So that an operator can tell it from a crash; the last word comes when all is put away."""
    server = await ServerProcess.start(tmp_path / "var", log=tmp_path / "log", LOG_FORMAT="json")
    assert await server.stop() == 0
    events = [json.loads(line)["event"] for line in (tmp_path / "log").read_text().splitlines()]
    assert events[-2:] == ["server.draining", "server.stopped"]


async def test_a_dead_store_stops_the_server(tmp_path: Path) -> None:
    """Never half alive: exit status 1."""
    server = await ServerProcess.start(tmp_path / "var")
    rest = RestClient(server.port)
    assert (await rest.get("/readyz")).status == 200
    await _kill_children_of(tmp_path / "var")
    async with asyncio.timeout(20):
        assert await server.process.wait() == 1


async def _kill_children_of(var_dir: Path) -> None:
    process = await asyncio.create_subprocess_exec("pkill", "-9", "-f", str(var_dir / "redis"))
    await process.wait()


async def test_tok_6_logout_on_one_process_ends_the_session_on_the_other(tmp_path: Path) -> None:
    """Its pages on both are told and closed with 4401; its token is good on neither."""
    async with servers(tmp_path / "var", 2) as started:
        rests = [RestClient(server.port) for server in started]
        made = await _account(rests[0])
        token, cookie = made.body["token"], _cookie(made)
        pages = [await PageClient.open(server.port, Authorization=f"Bearer {token}") for server in started]
        for rest, page in zip(rests, pages, strict=True):
            assert (await page.ask("session.list"))["type"] == "session.listed"
            assert (await rest.get("/user/sessions/", Authorization=f"Bearer {token}")).status == 200
        ended = await rests[0].post("/user/logout/", {}, Cookie=cookie, Sec_Fetch_Site="same-origin")
        assert ended.status == 204
        for rest, page in zip(rests, pages, strict=True):
            assert (await page.next_event("session.ended"))["data"] == {"reason": "logout"}
            assert (await page.closed)[0] == 4401
            assert (await rest.get("/user/sessions/", Authorization=f"Bearer {token}")).status == 401


async def test_tok_7_a_rolling_change_of_keys_fails_no_request(tmp_path: Path) -> None:
    """One process has the new key second, the other first: each takes the other's tokens, and refreshes them."""
    old, new = (f"k{n}:" + base64.b64encode(os.urandom(32)).decode() for n in (1, 2))
    var_dir = tmp_path / "var"
    async with (
        servers(var_dir, 1, TOKEN_KEYS=f"{old},{new}") as (before,),
        servers(var_dir, 1, TOKEN_KEYS=f"{new},{old}") as (after,),
    ):
        rests = [RestClient(before.port), RestClient(after.port)]
        answer = await _account(rests[0])
        for number in range(4):
            for rest in rests:
                shown = await rest.get("/user/sessions/", Authorization=f"Bearer {answer.body['token']}")
                assert shown.status == 200
            given = {"Cookie": _cookie(answer), "Sec_Fetch_Site": "same-origin"}
            answer = await rests[number % 2].post("/user/refresh/", {}, **given)
            assert answer.status == 200


async def _account(rest: RestClient) -> Answer:
    transaction = (await rest.post("/user/sms/", _BODY)).body["transaction"]
    made = await rest.post("/user/", _form(transaction, (await _inbox(rest, 1))[0]["code"]))
    assert made.status == 201
    return made


def _cookie(answer: Answer) -> str:
    return str(answer.headers["Set-Cookie"]).partition(";")[0]


async def test_a_claim_is_heard_and_refused_on_another_process(tmp_path: Path) -> None:
    """The page of its holder need not be where the claimant is, nor where it is refused."""
    async with servers(tmp_path / "var", 2, LIMITS="observe") as started:
        theirs, mine = [RestClient(server.port) for server in started]
        made = await _account(theirs)
        bearer = {"Authorization": f"Bearer {made.body['token']}"}
        page = await PageClient.open(started[0].port, **bearer)
        transaction = (await mine.post("/user/sms/", _BODY | {"purpose": "claim"})).body["transaction"]
        form = {"mobile": MOBILE, "sms_code": (await _inbox(mine, 2))[0]["code"], "transaction": transaction}
        claimed = await mine.post("/user/claim/", form)
        assert claimed.status == 202
        told = (await page.next_event("claim.shown"))["data"]["claim"]
        assert (told["kind"], told["due_at"]) == ("release", claimed.body["due_at"])
        assert (await mine.ask("DELETE", "/user/claim/", **bearer)).status == 204
        assert (await page.next_event("claim.shown"))["data"] == {"claim": None}
        await page.close()
