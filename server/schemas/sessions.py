"""Sessions: binding a websocket to one, listing and ending them."""

from marshmallow import fields, validate

from server.schemas.base import StrictSchema, Text, about


class SessionAuthenticate(StrictSchema):
    """`session.authenticate`: an access token, of whatever shape; only a good one is taken."""

    token = Text(
        required=True, max_length=4096, metadata=about("The access token, a JWT.", "eyJ0eXAiOiJhdCtqd3QiLCJh…")
    )


class SessionBound(StrictSchema):
    """`session.bound`: whose it is."""

    username = fields.String(metadata=about("Whose session it is.", "hm_lfdga7tqol"))


class SessionEnd(StrictSchema):
    """`session.end`: one of those that `session.list` named."""

    id = Text(
        required=True,
        validate=validate.Regexp(r"[A-Za-z0-9_-]{1,64}\Z", error="field.invalid"),
        metadata=about("The session, as `session.list` names it.", "q3Jt5wXn0aVbY8Kc2LmZrA"),
    )


class SessionShown(StrictSchema):
    """One session, for its owner. `device` becomes words in his language, `address` is masked."""

    id = fields.String(metadata=about("To end it by.", "q3Jt5wXn0aVbY8Kc2LmZrA"))
    device = fields.String(metadata=about("Browser and system, in words.", "Chrome · Windows"))
    address = fields.String(metadata=about("The network of its last login or refresh, masked.", "203.0.113.*"))
    created_at = fields.Float(metadata=about("When it began, in Unix seconds.", 1767225600.123))
    seen_at = fields.Float(metadata=about("When it was last used, true to the minute.", 1767226200.0))
    current = fields.Boolean(metadata=about("Whether it is the one that asks.", True))


class SessionsListed(StrictSchema):
    """`session.listed`."""

    sessions = fields.List(fields.Nested(SessionShown()), metadata=about("The newest first."))
