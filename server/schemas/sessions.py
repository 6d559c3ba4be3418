"""Sessions: binding a websocket to one, listing and ending them."""

from marshmallow import fields, validate

from server.schemas.base import StrictSchema, Text


class SessionAuthenticate(StrictSchema):
    """`session.authenticate`: an access token, of whatever shape; only a good one is taken."""

    token = Text(required=True, max_length=4096)


class SessionBound(StrictSchema):
    """`session.bound`: whose it is."""

    username = fields.String()


class SessionEnd(StrictSchema):
    """`session.end`: one of those that `session.list` named."""

    id = Text(required=True, validate=validate.Regexp(r"[A-Za-z0-9_-]{1,64}\Z", error="field.invalid"))


class SessionShown(StrictSchema):
    """One session, for its owner. `device` becomes words in his language, `address` is masked."""

    id = fields.String()
    device = fields.String()
    address = fields.String()
    created_at = fields.Float()
    seen_at = fields.Float()
    current = fields.Boolean()


class SessionsListed(StrictSchema):
    """`session.listed`."""

    sessions = fields.List(fields.Nested(SessionShown()))
