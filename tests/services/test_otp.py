"""The code itself."""

import secrets
from collections import Counter

import pytest

from server.keys import KeyRing
from server.services.otp import derive_code

_RING = KeyRing((("k1", bytes(range(32))), ("k2", bytes(range(32, 64)))))
_CODES = 100_000
# Chi-square with 999 degrees of freedom exceeds this once in a million runs.
_CHI_SQUARE_LIMIT = 1225


def _derive(nonce: str, **other: str) -> str | None:
    about = {"purpose": "register", "mobile": "15400000001", "transaction": "aaaaaaaa.b"} | other
    return derive_code(_RING, about.pop("key_id", "k1"), nonce=nonce, **about)


@pytest.fixture(scope="module")
def codes() -> list[str]:
    return [_derive(secrets.token_urlsafe(16)) or "" for _ in range(_CODES)]


def test_otp_1_codes_are_six_ascii_digits(codes: list[str]) -> None:
    """Leading zeros occur and stay."""
    assert all(len(code) == 6 and code.isascii() and code.isdigit() for code in codes)
    assert any(code.startswith("00") for code in codes)


@pytest.mark.parametrize("part", [slice(0, 3), slice(3, 6)], ids=["first three", "last three"])
def test_otp_1_codes_are_uniform(codes: list[str], part: slice) -> None:
    """Each of the 1,000 values of either half is as likely as the others."""
    counts = Counter(code[part] for code in codes)
    expected = _CODES / 1000
    chi_square = sum((counts.get(f"{cell:03d}", 0) - expected) ** 2 / expected for cell in range(1000))
    assert chi_square < _CHI_SQUARE_LIMIT


@pytest.mark.parametrize(
    "other",
    [{"purpose": "login"}, {"mobile": "15400000002"}, {"transaction": "aaaaaaaa.c"}, {"key_id": "k2"}],
    ids=lambda other: next(iter(other)),
)
def test_otp_9_a_code_is_bound_to_what_it_is_for(other: dict[str, str]) -> None:
    """Another purpose, number, transaction or key gives other codes."""
    nonces = [secrets.token_urlsafe(16) for _ in range(20)]
    assert [_derive(nonce) for nonce in nonces] != [_derive(nonce, **other) for nonce in nonces]


def test_a_code_whose_key_left_the_ring_is_no_code() -> None:
    """Then nothing matches it."""
    assert _derive("n", key_id="gone") is None
