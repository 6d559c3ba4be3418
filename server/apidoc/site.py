"""What the documents say of the service that they come from."""

from dataclasses import dataclass
from typing import Any

from server.schemas.base import Rules

INFO: dict[str, Any] = {"version": "0.1.0", "license": {"name": "Apache-2.0"}}


@dataclass(frozen=True, slots=True)
class Site:
    """`host`: under which its websocket is reached; `secure`: by HTTPS."""

    name: str
    host: str
    secure: bool
    development: bool
    rules: Rules
