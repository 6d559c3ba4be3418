"""What a kind of captcha promises, and which kinds a service has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class Captcha(Protocol):
    """A kind whose challenges carry their own state, signed."""

    name: str

    def challenge(self, *, data: dict[str, str], expires_at: int, dearer: bool) -> dict[str, Any]:
        """A new challenge for the browser that carries `data`, signed."""

    def verify(self, answer: str) -> "Solved | None":
        """What a right answer was bound to; None for any other answer."""


class Solved(Protocol):
    """A right answer: `nonce` names its challenge, good until `expires_at` (Unix seconds) for what is in `data`."""

    @property
    def nonce(self) -> str: ...

    @property
    def expires_at(self) -> int: ...

    @property
    def data(self) -> dict[str, str]: ...


class Asked(Protocol):
    """A kind whose state is kept in Redis under the challenge's id."""

    name: str

    async def begin(self, challenge_id: str, *, dearer: bool) -> tuple[dict[str, Any], dict[str, str]]:
        """What the browser gets, and what is kept; VendorUnavailable."""

    async def passes(self, challenge_id: str, kept: Mapping[str, str], answer: Mapping[str, str]) -> bool:
        """Whether the answer is right; VendorUnavailable."""

    def mark(self, answer: Mapping[str, str]) -> str:
        """What of the answer must not come again under another challenge, if anything."""


class Picture(Asked, Protocol):
    """The kind that shows a picture."""

    def draw(self, challenge_id: str, kept: Mapping[str, str]) -> bytes | None:
        """The picture as PNG, or None if it can no longer be drawn. It takes a while."""


@dataclass(frozen=True, slots=True)
class Kinds:
    """The rungs. `vendor` stands above altcha if there is one; `fallback`: whether a page may ask for the picture
    because its browser cannot run altcha."""

    chosen: str
    altcha: Captcha
    image: Picture
    vendor: Asked | None = None
    fallback: bool = False
