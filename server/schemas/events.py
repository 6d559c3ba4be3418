"""What we push without being asked. The SMS's state and the countdown are in `code.py`."""

from marshmallow import fields

from server.schemas.base import StrictSchema, about


class MobileChanged(StrictSchema):
    """`mobile.taken` and `mobile.freed`."""

    mobile = fields.String(metadata=about("The watched number, in full, as who is told typed it.", "15400138000"))


class StoreHealth(StrictSchema):
    """`degraded` and `restored`: which part of the service."""

    what = fields.String(metadata=about("The store.", "redis", enum=["redis", "mongo"]))


class SessionEnded(StrictSchema):
    """`session.ended`: why, in one word (docs/realtime.md)."""

    reason = fields.String(
        metadata=about(
            "`logout`, `ended` (from another session), `too_many` (an eleventh was opened), `reused` (an old refresh "
            "token came back), `password_changed`, `password_reset`, `mobile_changed`, `disabled`, `deleted`, "
            "`over`. Others may come.",
            "logout",
        )
    )


class Closing(StrictSchema):
    """`server.closing`: come back after so many seconds."""

    retry_after = fields.Integer(metadata=about("Seconds.", 3))
