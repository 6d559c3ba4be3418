"""The frames of pushes, made once for all pages that are told the same."""

from collections.abc import Mapping
from typing import Any

from server.channels import Push
from server.i18n import localised
from server.schemas.envelope import frame


class PushFrames:
    """Remembers the frame made last in each language. It is known again by being of the very same `data`, which
    nobody may change once it was pushed."""

    def __init__(self, pushes: Mapping[str, Push]) -> None:
        self._pushes = pushes
        self._last: dict[str, tuple[str, dict[str, Any], bytes]] = {}

    def encode(self, kind: str, data: dict[str, Any], locale: str) -> bytes:
        """The frame of a push of that kind."""
        last = self._last.get(locale)
        if last is None or last[0] != kind or last[1] is not data:
            shown = localised(self._pushes[kind].schema.dump(data), locale)
            last = self._last[locale] = (kind, data, frame(kind, None, shown))
        return last[2]
