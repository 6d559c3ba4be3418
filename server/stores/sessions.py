"""Key family `session:`: one hash per session. Of a refresh token only its hash is kept."""

import hashlib

from server.stores.redis import Redis


class SessionStore:
    """Sessions by id; times in ms inside, seconds outside."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def open(self, session_id: str, user: dict[str, str], token: str, *, idle_s: int, absolute_s: int) -> None:
        """Begin a session for the user with `id username version`."""
        fields = [part for pair in user.items() for part in pair]
        await self._redis.run(
            "open_session",
            [self._key(session_id)],
            _hash(token),
            idle_s * 1000,
            absolute_s * 1000,
            *fields,
            durable=True,
        )

    async def rotate(
        self, session_id: str, token: str, successor: str, *, idle_s: int, grace_s: int
    ) -> dict[str, str] | None:
        """Replace `token` by `successor`; the user of the session, or None if the token is not good (any more)."""
        flat = await self._redis.run(
            "rotate_session",
            [self._key(session_id)],
            _hash(token),
            _hash(successor),
            idle_s * 1000,
            grace_s * 1000,
            durable=True,
        )
        return dict(zip(flat[::2], flat[1::2], strict=True)) or None

    async def end(self, session_id: str, token: str) -> bool:
        """End a session whose refresh token is known to the asker."""
        return bool(await self._redis.run("end_session", [self._key(session_id)], _hash(token), durable=True))

    def _key(self, session_id: str) -> str:
        return f"session:{{{session_id}}}"


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
