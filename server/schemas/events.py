"""What we push without being asked. The SMS's state and the countdown are in `code.py`."""

from marshmallow import fields

from server.schemas.base import StrictSchema


class MobileChanged(StrictSchema):
    """`mobile.taken` and `mobile.freed`."""

    mobile = fields.String()


class StoreHealth(StrictSchema):
    """`degraded` and `restored`: which part of the service."""

    what = fields.String()


class SessionEnded(StrictSchema):
    """`session.ended`: why, in one word (docs/realtime.md)."""

    reason = fields.String()


class Closing(StrictSchema):
    """`server.closing`: come back after so many seconds."""

    retry_after = fields.Integer()
