"""Letters in a picture: for browsers that cannot run altcha's worker, which needs HTTPS (or localhost)."""

import hashlib
import hmac
import unicodedata
from collections.abc import Mapping

from captcha.image import ImageCaptcha

# Without those that look alike when they are bent: 0 O Q G, 1 I L 7, 2 Z, 5 S, 8 B.
ALPHABET = "3469ACDEFHJKMNPRTUVWXY"
LETTERS, DEARER_LETTERS = 5, 8
_LETTER_WIDTH, _HEIGHT = 44, 80
_INK, _PAPER = (24, 62, 58), (246, 244, 236)


class _Drawing(ImageCaptcha):
    """Paints as strongly as the ink is light, so a dark ink has to be told to be strong."""

    lookup_table = [min(255, 5 * light) for light in range(256)]  # noqa: RUF012 (the library's name)


class Image:
    """The letters follow from a key and the challenge's id, so no store ever holds them.

    The first of `keys` makes what is new, all of them read what is old.
    """

    name = "image"

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = dict(keys)
        self._newest = next(iter(self._keys))

    async def begin(self, challenge_id: str, *, dearer: bool) -> tuple[dict[str, str], dict[str, str]]:
        """What the browser gets, and what is kept; a dearer one has more letters."""
        shown = {"url": f"/user/captcha/{challenge_id}.png"}
        return shown, {"key": self._newest, "letters": str(DEARER_LETTERS if dearer else LETTERS)}

    async def passes(self, challenge_id: str, kept: Mapping[str, str], answer: Mapping[str, str]) -> bool:
        """Whether these are the letters, in any case and width, with or without spaces."""
        given = "".join(unicodedata.normalize("NFKC", answer.get("answer", "")).upper().split())
        right = self.letters(challenge_id, kept)
        return right is not None and hmac.compare_digest(given.encode(), right.encode())

    def mark(self, answer: Mapping[str, str]) -> str:
        """Nothing: the letters are right for one challenge only, which is used up."""
        return ""

    def letters(self, challenge_id: str, kept: Mapping[str, str]) -> str | None:
        """What the picture shows; None if its key was taken out of the ring."""
        key = self._keys.get(kept["key"])
        if key is None:
            return None
        digest = hmac.digest(key, f"captcha image {challenge_id}".encode(), hashlib.sha256)
        number, letters = int.from_bytes(digest), ""
        for _ in range(int(kept["letters"])):
            number, place = divmod(number, len(ALPHABET))
            letters += ALPHABET[place]
        return letters

    def draw(self, challenge_id: str, kept: Mapping[str, str]) -> bytes | None:
        """The picture as PNG, about 4 ms of work."""
        letters = self.letters(challenge_id, kept)
        if letters is None:
            return None
        drawing = _Drawing(width=_LETTER_WIDTH * (len(letters) + 1), height=_HEIGHT)
        return drawing.generate(letters, bg_color=_PAPER, fg_color=_INK).getvalue()
