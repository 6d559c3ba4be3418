"""The documents of both interfaces, generated from what the service runs on: OPERATIONS, PUSHES, ERRORS, the schemas.

What they say in words stands beside what it is about: docstrings of functions and schemas, `metadata` of fields,
texts of errors. A new row, field or error is in them with no further work.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from server.apidoc.asyncapi import asyncapi_of
from server.apidoc.openapi import openapi_of
from server.apidoc.site import Site as Site


@dataclass(frozen=True)
class Document:
    """One of the two, and as it is sent."""

    content: dict[str, Any]

    @cached_property
    def body(self) -> bytes:
        """JSON."""
        return orjson.dumps(self.content)

    @cached_property
    def etag(self) -> str:
        """Another one for other content."""
        return f'"{hashlib.sha256(self.body).hexdigest()[:32]}"'


class Documents:
    """`openapi` and `asyncapi`. Made when somebody asks, in a thread, as that takes a moment; then kept."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._made: dict[str, Document] = {}

    async def get(self, name: str) -> Document:
        """One of the two."""
        if name not in self._made:
            self._made[name] = await asyncio.to_thread(self._make, name)
        return self._made[name]

    def _make(self, name: str) -> Document:
        return Document(_MAKERS[name](self._site))


_MAKERS = {"openapi": openapi_of, "asyncapi": asyncapi_of}
