"""What many pages are told is encoded once."""

import json

from server.channels import PAGE
from server.handlers.push_frames import PushFrames

_STATE = {
    "transaction": "AbCdEfGh12",
    "seq": 4,
    "mobile": "154****0001",
    "purpose": "register",
    "status": "failed",
    "attempt": 1,
    "reason": {"code": "undelivered"},
    "can_resend": False,
    "server_now": 1.5,
    "resend_at": 2.5,
    "expires_at": 3.5,
    "attempts_left": 5,
}


def test_the_same_news_is_encoded_once_for_each_language() -> None:
    """Thousands of pages share two frames, each in its words."""
    frames = PushFrames(PAGE.pushes)
    chinese, english = (frames.encode("sms.state", _STATE, locale) for locale in ("zh_CN", "en_US"))
    assert chinese != english
    for _ in range(3):
        assert frames.encode("sms.state", _STATE, "zh_CN") is chinese
        assert frames.encode("sms.state", _STATE, "en_US") is english
    assert json.loads(english)["data"]["reason"]["message"].isascii()


def test_other_news_are_never_taken_for_the_last() -> None:
    """Neither of another kind with the same data, nor the next of the same kind."""
    frames = PushFrames(PAGE.pushes)
    store = {"what": "redis"}
    kinds = [json.loads(frames.encode(kind, store, "en_US"))["type"] for kind in ("degraded", "restored", "degraded")]
    assert kinds == ["degraded", "restored", "degraded"]
    seconds = [
        json.loads(frames.encode("server.closing", {"retry_after": n}, "en_US"))["data"]["retry_after"]
        for n in range(1, 11)
    ]
    assert seconds == [*range(1, 11)]
