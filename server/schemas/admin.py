"""What operators ask and see. Numbers are masked, codes are nowhere."""

import ipaddress
from typing import Any

from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from server.schemas.base import Count, Mobile, StrictSchema, Text, canonical_mobile, one_of, transaction_field
from server.schemas.sessions import SessionShown

PAGE_MAX = 100
BLOCK_MINUTES_MAX = 43_200
_NAME = validate.Regexp(r"[A-Za-z0-9_.:-]{1,64}\Z", error="field.invalid")
_PREFIX = validate.Regexp(r"1[3-9][0-9]{5}\Z", error="field.prefix")
_KEY = validate.Regexp(r"[0-9a-f]{32}\Z", error="field.mobile")


def _id_field(**options: Any) -> Text:
    return Text(validate=_NAME, **options)


class TicketIssued(StrictSchema):
    """`admin.ticketed`: opens `/ws/admin?ticket=` once, within `expires_in` seconds."""

    ticket = fields.String()
    expires_in = fields.Integer()


class UserList(StrictSchema):
    """`user.list`: the users after the one with the id `after`, at most `limit`."""

    after = Text(load_default="", validate=validate.Regexp(r"[a-z2-7]{0,64}\Z", error="field.invalid"))
    limit = Count(least=1, most=PAGE_MAX, load_default=50)


class UserShown(StrictSchema):
    """One account, for an operator. `role` is "" for most, `disabled_at` null while it is open."""

    id = fields.String(attribute="_id")
    username = fields.String()
    mobile = fields.String()
    role = fields.String()
    created_at = fields.Float()
    disabled_at = fields.Float(allow_none=True)


class UsersListed(StrictSchema):
    """`user.listed`: `next` is what to ask `after` for the following page, null at the end."""

    users = fields.Nested(UserShown, many=True)
    next = fields.String(allow_none=True)


class AuditList(StrictSchema):
    """`audit.list`: the entries before the number `before` (0: the newest), of one `user` or of all."""

    user = Text(load_default="", validate=validate.Regexp(r"[a-z2-7]{0,64}\Z", error="field.invalid"))
    before = Count(load_default=0)
    limit = Count(least=1, most=PAGE_MAX, load_default=50)


class AuditEntry(StrictSchema):
    """One entry of the audit, as docs/security.md describes it."""

    number = fields.Integer(attribute="_id")
    at = fields.Float()
    event = fields.String()
    user = fields.String()
    mobile = fields.String()
    session = fields.String()
    address = fields.String()
    device = fields.String()
    request_id = fields.String()
    details = fields.Dict(keys=fields.String(), values=fields.String())


class AuditListed(StrictSchema):
    """`audit.listed`: the newest first; `next` is what to ask `before` for the following page, null at the end."""

    entries = fields.Nested(AuditEntry, many=True)
    next = fields.Integer(allow_none=True)


class MonitorUser(StrictSchema):
    """`monitor.user`: one account by its number or its username."""

    mobile = Mobile()
    username = _id_field()

    @validates_schema
    def _judge_whole(self, data: dict[str, Any], **_: Any) -> None:
        if len(data) != 1:
            raise ValidationError("field.required", "mobile" if not data else "username")


class MonitorUserShown(StrictSchema):
    """`monitor.user_shown`: an account, where it is signed in and what happened to it lately."""

    user = fields.Nested(UserShown)
    sessions = fields.Nested(SessionShown, many=True)
    entries = fields.Nested(AuditEntry, many=True)


class MonitorTimeline(StrictSchema):
    """`monitor.timeline`: one transaction, or those of a number within a day."""

    transaction = transaction_field()
    mobile = Mobile()

    @validates_schema
    def _judge_whole(self, data: dict[str, Any], **_: Any) -> None:
        if len(data) != 1:
            raise ValidationError("field.required", "transaction" if not data else "mobile")


class TimelinePart(StrictSchema):
    """One thing that became of it: `what` (queued, sending, accepted, …), `about` what more there is to say."""

    at = fields.Float()
    what = fields.String()
    about = fields.String()


class Timeline(StrictSchema):
    """What became of one transaction, the oldest first."""

    transaction = fields.String()
    parts = fields.Nested(TimelinePart, many=True)


class TimelinesShown(StrictSchema):
    """`monitor.timeline_shown`: the newest transaction first."""

    transactions = fields.Nested(Timeline, many=True)


class MonitorSeries(StrictSchema):
    """`monitor.series`: the last quarter of an hour, hour or day."""

    range = Text(required=True, validate=one_of("15m", "1h", "24h"))


class StepFigures(StrictSchema):
    """How many there were, and within how many seconds half and 95 % of them came."""

    count = fields.Integer()
    p50 = fields.Float(allow_none=True)
    p95 = fields.Float(allow_none=True)


class Figures(StrictSchema):
    """What happened in a stretch of time; `sms`, `calls` and `waits` (for answers) are by provider."""

    checks = fields.Integer()
    logins = fields.Integer()
    registrations = fields.Integer()
    sends = fields.Integer()
    sms = fields.Dict(keys=fields.String(), values=fields.Dict(keys=fields.String(), values=fields.Integer()))
    calls = fields.Dict(keys=fields.String(), values=fields.Dict(keys=fields.String(), values=fields.Integer()))
    refusals = fields.Dict(keys=fields.String(), values=fields.Integer())
    steps = fields.Dict(keys=fields.String(), values=fields.Nested(StepFigures))
    waits = fields.Dict(keys=fields.String(), values=fields.Nested(StepFigures))


class Point(Figures):
    """The figures of the stretch that begins at `at`."""

    at = fields.Integer()


class SeriesShown(StrictSchema):
    """`monitor.series_shown`: the oldest point first, `step_s` seconds apart."""

    range = fields.String()
    step_s = fields.Integer()
    points = fields.Nested(Point, many=True)


class DeadLetter(StrictSchema):
    """An SMS that was given up: why, after how many tries and seconds."""

    job = fields.String()
    at = fields.Float()
    reason = fields.String()
    age_s = fields.Float()
    attempt = fields.Integer()
    transaction = fields.String()


class DeadLettersListed(StrictSchema):
    """`sms.dead_listed`: the newest first."""

    jobs = fields.Nested(DeadLetter, many=True)


class ProviderName(StrictSchema):
    """`provider.pause` and `provider.resume`."""

    name = Text(required=True, validate=_NAME)


class JobName(StrictSchema):
    """`sms.retry` and `sms.drop`."""

    job = Text(required=True, validate=_NAME)


class UserName(StrictSchema):
    """`user.disable`, `user.enable` and `user.end_sessions`: the account with this id."""

    id = Text(required=True, validate=_NAME)


class ProcessName(StrictSchema):
    """`process.drain`."""

    id = Text(required=True, validate=_NAME)


class UniquenessSet(StrictSchema):
    """`uniqueness.set`."""

    mode = Text(required=True, validate=one_of("open", "captcha", "off"))


class _BlockNamed(StrictSchema):
    """What a block is about; a number in any notation becomes canonical."""

    kind = Text(required=True, validate=one_of("mobile", "prefix", "ip"))
    value = Text(required=True)

    @post_load
    def _make_canonical(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        if data["kind"] != "mobile":
            return data
        return data | {"value": canonical_mobile(data["value"]) or data["value"]}


class BlockRemove(_BlockNamed):
    """`block.remove`: a block by its value, or by the `key` that the list of blocks gives."""

    @validates_schema
    def _judge_whole(self, data: dict[str, Any], **_: Any) -> None:
        if data["kind"] == "mobile" and _key_or_mobile(data["value"]) is None:
            raise ValidationError("field.mobile", "value")


class BlockAdd(_BlockNamed):
    """`block.add`: refuse a mobile, its first seven digits or an address for so many minutes."""

    minutes = Count(least=1, most=BLOCK_MINUTES_MAX, required=True)

    @validates_schema
    def _judge_whole(self, data: dict[str, Any], **_: Any) -> None:
        if data["kind"] == "mobile" and canonical_mobile(data["value"]) is None:
            raise ValidationError("field.mobile", "value")
        if data["kind"] == "prefix":
            _judge(_PREFIX, data["value"])
        if data["kind"] == "ip" and not _is_address(data["value"]):
            raise ValidationError("field.address", "value")


def _judge(rule: validate.Validator, value: str) -> None:
    try:
        rule(value)
    except ValidationError as fault:
        raise ValidationError(fault.messages, "value") from None


def _key_or_mobile(value: str) -> str | None:
    try:
        return str(_KEY(value))
    except ValidationError:
        return canonical_mobile(value)


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


class Block(StrictSchema):
    """A block: `value` masked where it is a number, `key` what names it, `by` the username of who set it."""

    kind = fields.String()
    value = fields.String()
    key = fields.String()
    until = fields.Float()
    by = fields.String()


class BlocksListed(StrictSchema):
    """`block.listed`: the one that ends first is first."""

    blocks = fields.Nested(Block, many=True)


class FeedEvent(StrictSchema):
    """One thing that happened. Which of the fields are there depends on its `kind`."""

    kind = fields.String()
    at = fields.Float()
    user = fields.String()
    mobile = fields.String()
    transaction = fields.String()
    provider = fields.String()
    reason = fields.String()
    operation = fields.String()
    code = fields.String()
    address = fields.String()
    alert = fields.String()
    by = fields.String()
    about = fields.String()


class QueueFigures(StrictSchema):
    """SMS jobs of the whole service."""

    waiting = fields.Integer()
    delayed = fields.Integer()
    working = fields.Integer()
    oldest_s = fields.Float()


class ProcessShown(StrictSchema):
    """One process: `cpu` in cores, `lag_ms` the worst of the last second."""

    id = fields.String()
    host = fields.String()
    pid = fields.Integer()
    started_at = fields.Float()
    draining = fields.Boolean()
    pages = fields.Integer()
    cpu = fields.Float()
    lag_ms = fields.Float()
    checks_s = fields.Float()
    sends_min = fields.Integer()


class AlertShown(StrictSchema):
    """What stands, since when (Unix seconds)."""

    name = fields.String()
    since = fields.Float()


class MonitorTick(StrictSchema):
    """`monitor.tick`, each second. Rates are per second (`_s`) or of the last minute (`_min`); `quarter` is the last
    quarter of an hour; `point` comes when five more seconds are complete; `budget` is the used part of the day."""

    server_now = fields.Float()
    pages = fields.Integer()
    checks_s = fields.Float()
    sends_min = fields.Integer()
    registrations_min = fields.Integer()
    logins_min = fields.Integer()
    lag_ms = fields.Float()
    budget = fields.Float()
    queue = fields.Nested(QueueFigures)
    stores = fields.Dict(keys=fields.String(), values=fields.Boolean())
    processes = fields.Nested(ProcessShown, many=True)
    providers = fields.Dict(keys=fields.String(), values=fields.String())
    uniqueness = fields.String()
    blocks_count = fields.Integer()
    dead = fields.Integer()
    alerts = fields.Nested(AlertShown, many=True)
    quarter = fields.Nested(Figures)
    point = fields.Nested(Point)


class MonitorSnapshot(MonitorTick):
    """`monitor.snapshot`, on open: a tick, and what does not come each second."""

    process = fields.String()
    username = fields.String()
    role = fields.String()
    series = fields.Nested(SeriesShown)
    blocks = fields.Nested(Block, many=True)
    events = fields.Nested(FeedEvent, many=True)


class MonitorEvents(StrictSchema):
    """`monitor.event`: at most one a second; `more` happened that is not shown."""

    events = fields.Nested(FeedEvent, many=True)
    more = fields.Integer()
