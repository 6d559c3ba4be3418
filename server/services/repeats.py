"""`Idempotency-Key`: who did not hear the answer sends the request again, and gets the same result.

The header is that of the IETF draft draft-ietf-httpapi-idempotency-key-header.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import orjson

from server.caller import Caller
from server.errors import AppError, StoreUnavailable, wait_s
from server.logs import get_log
from server.stores.repeats import RepeatStore
from server.tags import Tagger

_log = get_log(__name__)
T = TypeVar("T")


class RepeatService:
    """A key is good for ten minutes, for one operation and one body."""

    def __init__(self, *, store: RepeatStore, tagger: Tagger) -> None:
        self._store = store
        self._tagger = tagger

    async def once(
        self,
        operation: str,
        data: dict[str, Any],
        caller: Caller,
        *,
        act: Callable[[], Awaitable[T]],
        result_of: Callable[[T], str],
        again: Callable[[str], Awaitable[T | None]],
    ) -> T:
        """What `act` answers. If it was done before under this key: what `again` makes of its result ("" if whoever
        did it died before that was noted), or `act` once more where that is None. What `act` refuses may be tried
        anew.

        AppError `idempotency_conflict` for another body, `busy` while the first one is under way.
        """
        if not caller.repeat_key:
            return await act()
        name = self._tagger.digest(f"{operation}|{caller.repeat_key}")
        # A captcha counts once, so whoever tries again brings another one.
        body = {field: value for field, value in data.items() if field != "captcha"}
        digest = self._tagger.digest(orjson.dumps(body, option=orjson.OPT_SORT_KEYS))
        begun = await self._store.begin(name, digest)
        if begun.state == "other":
            raise AppError("idempotency_conflict")
        if begun.state == "busy":
            raise AppError("busy", retry_after=wait_s(begun.wait_ms))
        done = await again(begun.result) if begun.state in ("done", "lapsed") else None
        return await self._do(name, act, result_of) if done is None else done

    async def _do(self, name: str, act: Callable[[], Awaitable[T]], result_of: Callable[[T], str]) -> T:
        try:
            done = await act()
        except BaseException:
            await self._settle(self._store.forget(name))
            raise
        await self._settle(self._store.finish(name, result_of(done)))
        return done

    async def _settle(self, step: Awaitable[None]) -> None:
        try:
            await step
        except StoreUnavailable as fault:
            _log.warning("repeat.left_to_lapse", why=str(fault))
