"""Which passwords are too easy to guess. The page judges by the same rule (static/js/password.js)."""

from functools import lru_cache

from zxcvbn.frequency_lists import FREQUENCY_LISTS

COMMON_KEPT = 5_000
_OURS = "haoma"
# Common in China, and not in a list that was gathered elsewhere.
_COMMON_HERE = (
    *("woaini1314", "woaini520", "woaini521", "woaini123", "woaini5201314", "aini1314", "5201314520", "5201314a"),
    *("13145200", "52013140", "a5201314", "zhang123", "wang1234", "woshishui", "wodemima", "mima1234", "qwer123456"),
)
_RUNS = tuple(
    "".join(line)
    for row in ("01234567890123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "asdfghjkl", "zxcvbnm")
    for line in (row, reversed(row))
)
_LONGEST_PATTERN = 4


@lru_cache(maxsize=4)
def common_passwords(shortest: int) -> frozenset[str]:
    """The passwords that are tried first by whoever guesses, of at least `shortest` characters, in lower case."""
    listed = [word for word in FREQUENCY_LISTS["passwords"] if len(word) >= shortest]
    return frozenset((*listed[:COMMON_KEPT], *(word for word in _COMMON_HERE if len(word) >= shortest)))


class PasswordRule:
    """For one site; `shortest` is what the rule about length lets pass."""

    def __init__(self, *, site: str = "", shortest: int = 8) -> None:
        self.common = common_passwords(shortest)
        self._names = {name for name in (site.lower(), _OURS) if name}

    def weakness(self, password: str, *, mobile: str = "") -> str | None:
        """The key of the text that says why this password (in NFC) will not do, or None. ASVS 6.2.4, 6.2.11."""
        lower = password.lower()
        if mobile and (mobile in lower or lower == mobile[-8:]):
            return "field.password_mobile"
        if len(set(lower)) <= 2:
            return "field.password_repeated"
        if _is_pattern(lower) or any(lower in run for run in _RUNS):
            return "field.password_run"
        if any(name in lower and not _has_letter(lower.replace(name, "")) for name in self._names):
            return "field.password_site"
        return "field.password_common" if lower in self.common else None


def _is_pattern(text: str) -> bool:
    """The same few characters over and over."""
    return any(
        len(text) >= 2 * length and all(character == text[n % length] for n, character in enumerate(text))
        for length in range(1, _LONGEST_PATTERN + 1)
    )


def _has_letter(text: str) -> bool:
    return any(character.isalpha() for character in text)
