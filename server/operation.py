"""What an operation is: one row of the table that the websocket and REST run alike."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from marshmallow import Schema

from server.caller import Caller, Identity
from server.errors import AppError
from server.roles import Role
from server.schemas.base import StrictSchema
from server.services import Services

Data = dict[str, Any]
Done = Callable[["Reply | AppError"], None]


@dataclass(slots=True)
class Reply:
    """What an operation answers. `refresh`: the new value of the refresh cookie, "" to clear it, None to leave it.
    `session`: the one that a websocket speaks for from now on."""

    data: Data
    refresh: str | None = None
    session: Identity | None = None


@dataclass(frozen=True, slots=True)
class Rest:
    """The REST form of an operation. `judge` may turn a reply into the refusal that HTTP has a status for; `errors`
    are those that only this form answers."""

    method: str
    path: str
    status: int = 200
    judge: Callable[[Data], None] | None = None
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One row. `uses_cookie`: it acts on the refresh cookie, so it has no websocket form and needs our own origin.
    `needs_login`: it acts for the session of an access token, which must be alive. `role`: it is for operators, of
    this rank at least. `errors`: how it may refuse, beside what every operation may answer and what follows from the
    row (`server/apidoc/refusals.py`). `begin`: for what is asked so often that a task for each would cost much; it
    calls back, or answers False if it needs more than that, and then `run` does it.

    In the documents its title is the first sentence of its function, the docstrings of function and schema are its
    description."""

    name: str
    schema: type[StrictSchema]
    run: Callable[[Services, Caller, Data], Awaitable[Reply]]
    reply: str
    reply_schema: Schema
    rest: Rest | None = None
    timeout_s: float = 5
    uses_cookie: bool = False
    needs_login: bool = False
    role: Role | None = None
    errors: tuple[str, ...] = ()
    begin: Callable[[Services, Caller, Data, Done], bool] | None = None

    @property
    def reading(self) -> bool:
        """Whether an answer of a moment ago is good enough when its session is looked at: it changes nothing, as no
        GET does, and shows nobody else's affairs."""
        return self.rest is not None and self.rest.method == "GET" and self.role is None

    @property
    def socket(self) -> str:
        """The websocket that may ask for it: "page", "admin", or "" for none."""
        if self.uses_cookie:
            return ""
        return "page" if self.role is None else "admin"
