"""What a session's owner reads of where it is."""

import pytest

from server.i18n import LOCALES, text
from server.services.devices import DEVICE_WORDS, masked_address, words_of

_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
_ANDROID = (
    "Mozilla/5.0 (Linux; Android 14; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Mobile Safari/537.36"
)


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (f"{_MAC} Version/18.1 Safari/605.1.15", "safari macos"),
        (_ANDROID, "chrome android"),
        (f"{_ANDROID} MicroMessenger/8.0.53", "wechat android"),
        (f"{_ANDROID} HuaweiBrowser/15.0", "huawei android"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/131.0 Safari/537.36 Edg/131.0", "edge windows"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0", "firefox linux"),
        ("Mozilla/5.0 (iPad; CPU OS 18_1 like Mac OS X) CriOS/131.0 Mobile/15E148 Safari/604.1", "chrome ipad"),
        ("curl/8.5.0", "unknown"),
        ("", "unknown"),
        ("<script>alert(1)</script>", "unknown"),
    ],
)
def test_tok_10_a_user_agent_is_read_in_short(agent: str, words: str) -> None:
    """An app before the browser it is built on; nothing of the text itself is shown."""
    assert words_of(agent) == words


def test_tok_10_every_device_has_its_text() -> None:
    """In both languages."""
    for locale in LOCALES:
        assert not [word for word in DEVICE_WORDS if text(locale, f"device.{word}").startswith("device.")]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("203.0.113.7", "203.0.113.*"),
        ("::ffff:203.0.113.7", "203.0.113.*"),
        ("2001:db8:12:34::1", "2001:db8:12:*"),
        ("::1", "0:0:0:*"),
        ("", ""),
        ("nonsense", ""),
    ],
)
def test_tok_10_an_address_is_shown_as_its_network(address: str, shown: str) -> None:
    """Enough to know one's own, not enough to find a household."""
    assert masked_address(address) == shown
