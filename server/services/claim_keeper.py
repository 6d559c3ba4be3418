"""Carries claims out when their day has come."""

from collections.abc import Awaitable, Callable
from typing import Any

from server.clock import Clock
from server.events import EventBus, topics
from server.logs import get_log, mask
from server.services.claim_news import ClaimNews
from server.services.notices import NoticeService
from server.services.sessions import SessionService
from server.stores.users import Claim, NumberTaken, UserStore, pending_claim
from server.tasks import Tasks

_log = get_log(__name__)
LOOK_S = 30
AT_ONCE = 100
# Whoever carried one out tells it in a moment. After so long nobody is telling it any more, and another process does.
TELLING_S = 60
User = dict[str, Any]


class ClaimKeeper:
    """All processes look, by Redis' time. One conditional step carries a claim out, so one of them does; in the same
    step the account notes that it is still to be told. Whatever follows may be done twice after a kill, and never not
    at all."""

    def __init__(
        self,
        *,
        users: UserStore,
        sessions: SessionService,
        notices: NoticeService,
        news: ClaimNews,
        events: EventBus,
        now: Callable[[], Awaitable[float]],
        clock: Clock,
    ) -> None:
        self._users = users
        self._sessions = sessions
        self._notices = notices
        self._news = news
        self._events = events
        self._now = now
        self._tasks = Tasks(clock)

    async def start(self) -> None:
        """Begin to look for claims whose day has come."""
        self._tasks.keep("claims.look", self.look, every_s=LOOK_S)

    async def aclose(self) -> None:
        """Stop looking; what is being told goes on elsewhere."""
        await self._tasks.aclose()

    async def look(self) -> None:
        """Carry out what is due. One that fails stays due, and holds up no other."""
        for user in await self._users.due_claims(await self._now(), AT_ONCE):
            try:
                # Of this moment: those before it may have taken long, and who reads an old time takes us for dead.
                done = await self._take(user, await self._now())
                if done:
                    await self._tell(done)
            except Exception as fault:
                _log.warning("claim.not_carried_out", user=user["_id"], why=repr(fault))

    async def _take(self, user: User, now: float) -> User | None:
        """The account as it is after its claim was carried out or dropped, if it is ours to tell that."""
        claim = user["claim"]
        if pending_claim(user):
            return await self._carry_out(user, claim, now)
        if now - claim["done_at"] < TELLING_S:
            return None
        _log.warning("claim.told_anew", user=user["_id"], outcome=claim["outcome"])
        return await self._users.set_claim(user, claim | {"done_at": now})

    async def _carry_out(self, user: User, claim: Claim, now: float) -> User | None:
        done = claim | {"outcome": "carried_out", "done_at": now, "old_mobile": user["mobile"]}
        try:
            return await self._users.change(user, mobile=claim.get("new_mobile", ""), claim=done)
        except NumberTaken:
            return await self._users.set_claim(user, done | {"outcome": "dropped"})

    async def _tell(self, user: User) -> None:
        """Bears being called again for the same claim."""
        claim = user["claim"]
        await (self._tell_carried_out if claim["outcome"] == "carried_out" else self._tell_dropped)(user, claim)
        await self._users.end_claim(user)

    async def _tell_carried_out(self, user: User, claim: Claim) -> None:
        old, new = claim["old_mobile"], claim.get("new_mobile", "")
        await self._sessions.end_all(
            user["_id"], "mobile_changed" if new else "mobile_released", version=user["version"]
        )
        if new:
            await self._events.publish(topics.MOBILES, kind="mobile.taken", mobile=new)
        await self._events.publish(topics.MOBILES, kind="mobile.freed", mobile=old)
        await self._news.note("claim.carried_out", user, claim["kind"], old=mask(old))
        if new:  # The number that an account has lost is somebody else's phone.
            await self._notices.send("mobile", old, locale=claim["locale"])
            await self._notices.send("moved", new, locale=claim["locale"])

    async def _tell_dropped(self, user: User, claim: Claim) -> None:
        await self._news.note("claim.dropped", user, claim["kind"], why="taken")
        await self._notices.send("dropped", user["mobile"], locale=claim["locale"])
