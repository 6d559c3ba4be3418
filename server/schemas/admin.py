"""What operators ask and see. Numbers are masked, codes are nowhere."""

import ipaddress
from typing import Any

from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from server.schemas.base import (
    TRANSACTION,
    Count,
    Mobile,
    StrictSchema,
    Text,
    about,
    canonical_mobile,
    one_of,
    transaction_field,
)
from server.schemas.sessions import SessionShown

PAGE_MAX = 100
BLOCK_MINUTES_MAX = 43_200
_NAME = validate.Regexp(r"[A-Za-z0-9_.:-]{1,64}\Z", error="field.invalid")
_MASKED = validate.Regexp(r"1[3-9][0-9]\*{4}[0-9]{4}\Z", error="field.mobile")
_PREFIX = validate.Regexp(r"1[3-9][0-9]{5}\Z", error="field.prefix")
_KEY = validate.Regexp(r"[0-9a-f]{32}\Z", error="field.mobile")


def _id_field(**options: Any) -> Text:
    return Text(validate=_NAME, **options)


class TicketIssued(StrictSchema):
    """`admin.ticketed`: opens `/ws/admin?ticket=` once, within `expires_in` seconds."""

    ticket = fields.String(metadata=about("The ticket.", "3kf9Qd0c7VtBxY2mRrLw1Q"))
    expires_in = fields.Integer(metadata=about("For how many seconds it is good.", 30))


class UserList(StrictSchema):
    """`user.list`: the users after the one with the id `after`, at most `limit`."""

    after = Text(
        load_default="",
        validate=validate.Regexp(r"[a-z2-7]{0,64}\Z", error="field.invalid"),
        metadata=about("The id after which the page begins; empty: at the beginning."),
    )
    limit = Count(least=1, most=PAGE_MAX, load_default=50, metadata=about("How many at most.", 50))


class UserShown(StrictSchema):
    """One account, for an operator. `role` is "" for most, `disabled_at` null while it is open."""

    id = fields.String(attribute="_id", metadata=about("The account.", "3ov6wqxk2jv5tz4d7a6m2n5q"))
    username = fields.String(metadata=about("Its username.", "hm_lfdga7tqol"))
    mobile = fields.String(metadata=about("Its number, masked.", "154****8000"))
    role = fields.String(metadata=about("`viewer`, `operator`, or empty for most.", ""))
    created_at = fields.Float(metadata=about("When it was made, in Unix seconds.", 1767225600.123))
    disabled_at = fields.Float(allow_none=True, metadata=about("Since when it is closed; null while it is open."))


class UsersListed(StrictSchema):
    """`user.listed`: `next` is what to ask `after` for the following page, null at the end."""

    users = fields.Nested(UserShown, many=True, metadata=about("In the order of their ids."))
    next = fields.String(
        allow_none=True, metadata=about("What to ask `after` for the following page, null at the end.")
    )


class AuditList(StrictSchema):
    """`audit.list`: the entries before the number `before` (0: the newest), of one `user` or of all."""

    user = Text(
        load_default="",
        validate=validate.Regexp(r"[a-z2-7]{0,64}\Z", error="field.invalid"),
        metadata=about("The account whose entries are asked for; empty: all."),
    )
    before = Count(load_default=0, metadata=about("The number before which the page begins; 0: the newest.", 0))
    limit = Count(least=1, most=PAGE_MAX, load_default=50, metadata=about("How many at most.", 50))


class AuditEntry(StrictSchema):
    """One entry of the audit, as docs/security.md describes it."""

    sometimes = ("address", "device", "request_id")
    number = fields.Integer(attribute="_id", metadata=about("Its place in the chain.", 1024))
    at = fields.Float(metadata=about("When, in Unix seconds.", 1767225600.123))
    event = fields.String(metadata=about("What happened.", "session.opened"))
    user = fields.String(metadata=about("The account that it is about.", "3ov6wqxk2jv5tz4d7a6m2n5q"))
    mobile = fields.String(metadata=about("Its number, masked.", "154****8000"))
    session = fields.String(metadata=about("The session that did it.", "q3Jt5wXn0aVbY8Kc2LmZrA"))
    address = fields.String(metadata=about("The address that it came from.", "203.0.113.7"))
    device = fields.String(metadata=about("The browser that it came from.", "Chrome · Windows"))
    request_id = fields.String(metadata=about("Under which the log has it.", "5f0c9a7be2d41386"))
    details = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        metadata=about("What more there is to say.", {"way": "password"}),
    )


class AuditListed(StrictSchema):
    """`audit.listed`: the newest first; `next` is what to ask `before` for the following page, null at the end."""

    entries = fields.Nested(AuditEntry, many=True, metadata=about("The newest first."))
    next = fields.Integer(
        allow_none=True, metadata=about("What to ask `before` for the following page, null at the end.")
    )


class MonitorUser(StrictSchema):
    """`monitor.user`: one account by its number, its username or its id."""

    forms = (("mobile",), ("username",), ("id",))
    mobile = Mobile()
    id = _id_field(metadata=about("The id of the account.", "mzxw6ytboi4dsnrv"))
    username = _id_field(metadata=about("The username of the account.", "hm_lfdga7tqol"))

    @validates_schema
    def _judge_whole(self, data: dict[str, Any], **_: Any) -> None:
        if len(data) != 1:
            raise ValidationError("field.required", "mobile" if not data else "username")


class MonitorUserShown(StrictSchema):
    """`monitor.user_shown`: an account, where it is signed in and what happened to it lately."""

    user = fields.Nested(UserShown, metadata=about("The account."))
    sessions = fields.Nested(SessionShown, many=True, metadata=about("Where it is signed in."))
    entries = fields.Nested(AuditEntry, many=True, metadata=about("What happened to it lately."))


class MonitorTimeline(StrictSchema):
    """`monitor.timeline`: one transaction, or within a day those of a number, or of all that look so when masked."""

    forms = (("transaction",), ("mobile",), ("masked",))
    transaction = transaction_field()
    mobile = Mobile()
    masked = Text(validate=_MASKED, metadata=about("A number as operators see it.", "154****8000"))

    @validates_schema
    def _judge_whole(self, data: dict[str, Any], **_: Any) -> None:
        if len(data) != 1:
            raise ValidationError("field.required", "transaction" if not data else "mobile")


class TimelinePart(StrictSchema):
    """One thing that became of it: `what` (queued, sending, accepted, …), `about` what more there is to say."""

    at = fields.Float(metadata=about("When, in Unix seconds.", 1767225600.123))
    what = fields.String(metadata=about("What became of it: `queued`, `sending`, `accepted`, …", "accepted"))
    about = fields.String(metadata=about("What more there is to say.", "yuntongxun"))


class Timeline(StrictSchema):
    """What became of one transaction, the oldest first."""

    transaction = fields.String(metadata=about("The SMS.", TRANSACTION))
    parts = fields.Nested(TimelinePart, many=True, metadata=about("The oldest first."))


class TimelinesShown(StrictSchema):
    """`monitor.timeline_shown`: the newest transaction first."""

    transactions = fields.Nested(Timeline, many=True, metadata=about("The newest first."))


class MonitorSeries(StrictSchema):
    """`monitor.series`: the last quarter of an hour, hour or day."""

    range = Text(required=True, validate=one_of("15m", "1h", "24h"), metadata=about("The stretch of time.", "15m"))


class StepFigures(StrictSchema):
    """How many there were, and within how many seconds half and 95 % of them came."""

    count = fields.Integer(metadata=about("How many came so far.", 120))
    p50 = fields.Float(
        allow_none=True, metadata=about("In how many seconds half of them did; null without any.", 0.8)
    )
    p95 = fields.Float(allow_none=True, metadata=about("In how many seconds 95 % of them did.", 2.4))


class Figures(StrictSchema):
    """What happened in a stretch of time; `sms`, `calls` and `waits` (for answers) are by provider."""

    sometimes = ("checks", "logins", "registrations", "sends", "sms", "calls", "refusals", "steps", "waits")
    checks = fields.Integer(metadata=about("Questions whether a number is free.", 900))
    logins = fields.Integer(metadata=about("Logins.", 40))
    registrations = fields.Integer(metadata=about("Accounts made.", 12))
    sends = fields.Integer(metadata=about("SMS accepted.", 30))
    sms = fields.Dict(
        keys=fields.String(),
        values=fields.Dict(keys=fields.String(), values=fields.Integer()),
        metadata=about("SMS by provider and status.", {"sandbox": {"delivered": 30}}),
    )
    calls = fields.Dict(
        keys=fields.String(),
        values=fields.Dict(keys=fields.String(), values=fields.Integer()),
        metadata=about("Calls of providers by outcome.", {"sandbox": {"ok": 30}}),
    )
    refusals = fields.Dict(
        keys=fields.String(), values=fields.Integer(), metadata=about("Refusals by code.", {"sms_too_soon": 3})
    )
    steps = fields.Dict(
        keys=fields.String(), values=fields.Nested(StepFigures), metadata=about("How fast an SMS takes each step.")
    )
    waits = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(StepFigures),
        metadata=about("How long each provider takes to answer."),
    )


class Point(Figures):
    """The figures of the stretch that begins at `at`."""

    at = fields.Integer(metadata=about("When the stretch begins, in Unix seconds.", 1767225600))


class SeriesShown(StrictSchema):
    """`monitor.series_shown`: the oldest point first, `step_s` seconds apart."""

    range = fields.String(metadata=about("The stretch of time that was asked for.", "15m"))
    step_s = fields.Integer(metadata=about("Seconds from point to point.", 5))
    points = fields.Nested(Point, many=True, metadata=about("The oldest first."))


class DeadLetter(StrictSchema):
    """An SMS that was given up: why, after how many tries and seconds."""

    job = fields.String(metadata=about("To name it by.", "BC0S8C_KWNRm12Vp"))
    at = fields.Float(metadata=about("When it was given up, in Unix seconds.", 1767225600.123))
    reason = fields.String(metadata=about("Why.", "provider_failed"))
    age_s = fields.Float(metadata=about("How old it was then, in seconds.", 61.5))
    attempt = fields.Integer(metadata=about("After how many tries.", 3))
    transaction = fields.String(metadata=about("The SMS.", TRANSACTION))


class DeadLettersListed(StrictSchema):
    """`sms.dead_listed`: the newest first."""

    jobs = fields.Nested(DeadLetter, many=True, metadata=about("The newest first."))


class ProviderName(StrictSchema):
    """`provider.pause` and `provider.resume`."""

    name = Text(required=True, validate=_NAME, metadata=about("As `SMS_PROVIDERS` names it.", "yuntongxun"))


class JobName(StrictSchema):
    """`sms.retry` and `sms.drop`."""

    job = Text(required=True, validate=_NAME, metadata=about("As `sms.dead` names it.", "BC0S8C_KWNRm12Vp"))


class UserName(StrictSchema):
    """`user.disable`, `user.enable` and `user.end_sessions`: the account with this id."""

    id = Text(required=True, validate=_NAME, metadata=about("The account.", "3ov6wqxk2jv5tz4d7a6m2n5q"))


class ProcessName(StrictSchema):
    """`process.drain`."""

    id = Text(required=True, validate=_NAME, metadata=about("As `monitor.tick` names it.", "a1b2c3d4"))


class UniquenessSet(StrictSchema):
    """`uniqueness.set`."""

    mode = Text(
        required=True,
        validate=one_of("open", "captcha", "off"),
        metadata=about("`open`: to everybody. `captcha`: for a captcha each. `off`: to nobody.", "captcha"),
    )


class _BlockNamed(StrictSchema):
    """What a block is about; a number in any notation becomes canonical."""

    kind = Text(
        required=True,
        validate=one_of("mobile", "prefix", "ip"),
        metadata=about("What is blocked: a number, its first seven digits, or an address.", "prefix"),
    )
    value = Text(required=True, metadata=about("The number in any notation, the digits, or the address.", "1540013"))

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

    minutes = Count(least=1, most=BLOCK_MINUTES_MAX, required=True, metadata=about("For how long.", 60))

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

    kind = fields.String(metadata=about("What is blocked.", "prefix"))
    value = fields.String(metadata=about("Masked, where it is a number.", "1540013"))
    key = fields.String(metadata=about("To lift it by.", "0f1e2d3c4b5a69788796a5b4c3d2e1f0"))
    until = fields.Float(metadata=about("When it ends, in Unix seconds.", 1767229200.0))
    by = fields.String(metadata=about("The username of who set it.", "hm_lfdga7tqol"))


class BlocksListed(StrictSchema):
    """`block.listed`: the one that ends first is first."""

    blocks = fields.Nested(Block, many=True, metadata=about("The one that ends first is first."))


class FeedEvent(StrictSchema):
    """One thing that happened. Which of the fields are there depends on its `kind`."""

    sometimes = (
        *("user", "mobile", "transaction", "provider", "reason", "operation", "code", "address", "alert", "by"),
        "about",
    )
    kind = fields.String(metadata=about("What happened.", "registered"))
    at = fields.Float(metadata=about("When, in Unix seconds.", 1767225600.123))
    user = fields.String(metadata=about("The account."))
    mobile = fields.String(metadata=about("The number, masked.", "154****8000"))
    transaction = fields.String(metadata=about("The SMS."))
    provider = fields.String(metadata=about("The provider."))
    reason = fields.String(metadata=about("Why."))
    operation = fields.String(metadata=about("What was asked for."))
    code = fields.String(metadata=about("How it was refused."))
    address = fields.String(metadata=about("The network, masked."))
    alert = fields.String(metadata=about("The alert that began or ended."))
    by = fields.String(metadata=about("The operator who did it."))
    about = fields.String(metadata=about("What more there is to say."))


class QueueFigures(StrictSchema):
    """SMS jobs of the whole service."""

    waiting = fields.Integer(metadata=about("To be taken up.", 0))
    delayed = fields.Integer(metadata=about("To be tried again later.", 0))
    working = fields.Integer(metadata=about("Being sent.", 1))
    oldest_s = fields.Float(metadata=about("The age of the oldest that waits, in seconds.", 0.0))


class ProcessShown(StrictSchema):
    """One process: `cpu` in cores, `lag_ms` the worst of the last second."""

    id = fields.String(metadata=about("To name it by.", "a1b2c3d4"))
    host = fields.String(metadata=about("Its machine.", "web-1"))
    pid = fields.Integer(metadata=about("Its number there.", 4321))
    started_at = fields.Float(metadata=about("When it started, in Unix seconds.", 1767225600.123))
    draining = fields.Boolean(metadata=about("Whether it is going away.", False))
    pages = fields.Integer(metadata=about("Open pages.", 120))
    cpu = fields.Float(metadata=about("Cores in use.", 0.4))
    lag_ms = fields.Float(metadata=about("How late its loop was at worst in the last second.", 2.5))
    checks_s = fields.Float(metadata=about("Questions for numbers a second.", 30.0))
    sends_min = fields.Integer(metadata=about("SMS in the last minute.", 4))


class AlertShown(StrictSchema):
    """What stands, since when (Unix seconds)."""

    name = fields.String(metadata=about("Which alert.", "queue_old"))
    since = fields.Float(metadata=about("Since when, in Unix seconds.", 1767225600.123))


class MonitorTick(StrictSchema):
    """`monitor.tick`, each second. Rates are per second (`_s`) or of the last minute (`_min`); `quarter` is the last
    quarter of an hour; `point` comes when five more seconds are complete; `budget` is the used part of the day."""

    sometimes = ("point",)
    server_now = fields.Float(metadata=about("The server's time.", 1767225600.123))
    pages = fields.Integer(metadata=about("Open pages of all processes.", 240))
    checks_s = fields.Float(metadata=about("Questions for numbers a second.", 60.0))
    sends_min = fields.Integer(metadata=about("SMS in the last minute.", 8))
    registrations_min = fields.Integer(metadata=about("Accounts made in the last minute.", 3))
    logins_min = fields.Integer(metadata=about("Logins of the last minute.", 9))
    lag_ms = fields.Float(metadata=about("How late the latest loop was.", 2.5))
    budget = fields.Float(metadata=about("The used part of the day's budget of SMS.", 0.12))
    queue = fields.Nested(QueueFigures, metadata=about("SMS on their way."))
    stores = fields.Dict(
        keys=fields.String(),
        values=fields.Boolean(),
        metadata=about("Which stores answer.", {"redis": True, "mongo": True}),
    )
    processes = fields.Nested(ProcessShown, many=True, metadata=about("All of them."))
    providers = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        metadata=about("Each provider and how it is.", {"sandbox": "closed"}),
    )
    uniqueness = fields.String(metadata=about("To whom it is told whether a number is taken.", "open"))
    blocks_count = fields.Integer(metadata=about("How many blocks there are.", 0))
    dead = fields.Integer(metadata=about("How many SMS were given up.", 0))
    alerts = fields.Nested(AlertShown, many=True, metadata=about("What stands."))
    quarter = fields.Nested(Figures, metadata=about("The figures of the last quarter of an hour."))
    point = fields.Nested(Point, metadata=about("The figures of five seconds, when five more are complete."))


class MonitorSnapshot(MonitorTick):
    """`monitor.snapshot`, on open: a tick, and what does not come each second."""

    process = fields.String(metadata=about("The process that answers.", "a1b2c3d4"))
    username = fields.String(metadata=about("Who looks.", "hm_lfdga7tqol"))
    role = fields.String(metadata=about("And as what.", "operator"))
    series = fields.Nested(SeriesShown, metadata=about("The last quarter of an hour."))
    events = fields.Nested(FeedEvent, many=True, metadata=about("The last events."))


class MonitorEvents(StrictSchema):
    """`monitor.event`: at most one a second; `more` happened that is not shown."""

    events = fields.Nested(FeedEvent, many=True, metadata=about("The oldest first."))
    more = fields.Integer(metadata=about("How many happened that are not shown.", 0))
