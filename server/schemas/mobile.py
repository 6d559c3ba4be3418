"""Is this number free?"""

from marshmallow import fields

from server.schemas.base import Mobile, StrictSchema, captcha_field


class MobileCheck(StrictSchema):
    """`mobile.check`."""

    mobile = Mobile(required=True)
    captcha = captcha_field()


class MobileChecked(StrictSchema):
    """`mobile.checked`: `available` is None if it cannot be known now."""

    mobile = fields.String()
    available = fields.Boolean(allow_none=True)
