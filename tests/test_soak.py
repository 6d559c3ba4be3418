"""The judge of `make soak`: what it calls flat and what not."""

import dataclasses

import pytest

from benchmarks.soak import Sample, growth, judge

EMPTY = Sample(0, 100_000, 100, 26, 0, 0, 0, 0, 0, 0, 0)
FULL = dataclasses.replace(EMPTY, pages=2000, descriptors=2100, tasks=40)


def hour(**an_hour: float) -> list[Sample]:
    """A sample every ten seconds, in which these grow by so much."""
    samples = []
    for minute in (n / 6 for n in range(361)):
        grown = {of: getattr(FULL, of) + by * minute / 60 for of, by in an_hour.items()}
        samples.append(dataclasses.replace(FULL, minute=minute, **grown))
    return samples


@pytest.mark.parametrize(
    "samples, after, flat",
    [
        (hour(), EMPTY, True),
        (hour(rss_kib=900), EMPTY, True),
        (hour(rss_kib=5000), EMPTY, False),
        (hour(tasks=60), EMPTY, False),
        (hour(descriptors=60), EMPTY, False),
        (hour(tasks=-60, descriptors=-60, rss_kib=-5000), EMPTY, True),
        (hour(wrong=1), EMPTY, False),
        (hour(lost=1), EMPTY, False),
        (hour(), dataclasses.replace(EMPTY, descriptors=150), False),
        (hour(), dataclasses.replace(EMPTY, tasks=50), False),
        (hour(), dataclasses.replace(EMPTY, pages=30), False),
    ],
)
def test_what_is_flat(samples: list[Sample], after: Sample, flat: bool) -> None:
    """Nothing grows, all answers were right, no page was lost, and nothing stays when all have left."""
    assert (judge(samples, EMPTY, after) == []) is flat


def test_the_first_quarter_does_not_count() -> None:
    """A server that warms up is no leak."""
    warm = [dataclasses.replace(one, rss_kib=50_000 if one.minute < 15 else 100_000) for one in hour()]
    assert growth(warm, "rss_kib") == pytest.approx((0, 0))
