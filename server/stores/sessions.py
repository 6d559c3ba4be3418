"""Key families `session:` (one hash each) and `sessions:` (those of one user, and the version of the account). Of a
refresh token only its hash is kept. All keys of a user share a slot; the step that makes an end publishes it."""

import hashlib
from typing import Any

from server.stores.redis import Redis

# No request takes so long, so whoever has read an account before it was changed has given up by then.
ON_THE_WAY_S = 600


class TokenReused(Exception):
    """A refresh token came back that had been used before; its session is over."""


class SessionStore:
    """Sessions by user and id; times in ms inside, seconds outside."""

    def __init__(self, redis: Redis, *, topic: str) -> None:
        self._redis = redis
        self._topic = topic

    async def open(
        self, user: str, sid: str, token: str, kept: dict[str, str], *, idle_s: int, absolute_s: int, most: int
    ) -> bool:
        """Begin a session with the fields `kept`, `version` among them; of `most` sessions that the user has the
        oldest is ended. False if the account has had a newer version since it was read (`end_all`)."""
        further = kept.items() - {("version", kept["version"])}
        opened = await self._redis.run(
            "open_session",
            self._keys(user, sid),
            sid,
            self._topic,
            _hash(token),
            idle_s * 1000,
            absolute_s * 1000,
            most,
            kept["version"],
            *(part for pair in further for part in pair),
            durable=True,
        )
        return bool(opened)

    async def rotate(
        self,
        user: str,
        sid: str,
        token: str,
        successor: str,
        *,
        idle_s: int,
        grace_s: int,
        was_ours: bool,
        address: str,
    ) -> dict[str, str] | None:
        """Replace `token` by `successor`; the fields of the session, or None if the token is not good (any more).

        An old token that `was_ours` ends the session: TokenReused.
        """
        flat = await self._redis.run(
            "rotate_session",
            self._keys(user, sid)[:2],
            sid,
            self._topic,
            _hash(token),
            _hash(successor),
            idle_s * 1000,
            grace_s * 1000,
            int(was_ours),
            address,
            durable=True,
        )
        if flat == ["reused"]:
            raise TokenReused
        return dict(zip(flat[::2], flat[1::2], strict=True)) or None

    async def version(self, user: str, sid: str) -> str:
        """The account's version that a living session stands for, "" if it is over. It counts as seen."""
        return str(await self._redis.run("check_session", self._keys(user, sid)[:1]))

    async def end(self, user: str, sid: str, reason: str, *, proof: str = "") -> bool:
        """End a session; with a `proof` only if that is one of its last two refresh tokens."""
        hashed = _hash(proof) if proof else ""
        return bool(
            await self._redis.run(
                "end_session", self._keys(user, sid)[:2], sid, self._topic, reason, hashed, durable=True
            )
        )

    async def end_all(self, user: str, reason: str, *, but: str, version: str = "") -> None:
        """End all sessions of a user, but one, and refuse those that are being opened by what the account was before
        this `version`."""
        keys = self._keys(user, "")
        await self._redis.run(
            "end_sessions",
            keys[1:],
            keys[0],
            self._topic,
            reason,
            but,
            version,
            ON_THE_WAY_S * 1000,
            durable=True,
        )

    async def living(self, user: str) -> list[dict[str, Any]]:
        """The living sessions of a user, the newest first."""
        keys = self._keys(user, "")
        rows = await self._redis.run("list_sessions", keys[1:2], keys[0])
        return [
            {
                "id": sid,
                "device": device,
                "address": address,
                "created_at": int(opened) / 1000,
                "seen_at": int(seen) / 1000,
            }
            for sid, device, address, opened, seen in rows
        ]

    def _keys(self, user: str, sid: str) -> list[str]:
        return [f"session:{{{user}}}:{sid}", f"sessions:{{{user}}}", f"sessions:{{{user}}}:version"]


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
