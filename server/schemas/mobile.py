"""Is this number free?"""

from marshmallow import fields

from server.schemas.base import Mobile, StrictSchema, about, captcha_field


class MobileCheck(StrictSchema):
    """`mobile.check`."""

    mobile = Mobile(required=True)
    captcha = captcha_field()


class MobileChecked(StrictSchema):
    """`mobile.checked`: `available` is None if it cannot be known now."""

    mobile = fields.String(metadata=about("The number, as eleven digits.", "15400138000"))
    available = fields.Boolean(
        allow_none=True,
        metadata=about("Whether it is free. null: that cannot be known now, or is told to nobody.", True),
    )
