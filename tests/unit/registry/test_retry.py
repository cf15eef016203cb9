"""What is tried again, and when."""

from __future__ import annotations

import pytest

from layerkit.registry import Limits, retry

LIMITS = Limits(attempts=6, first_wait=1, longest_wait=10, longest_asked=10)
NOW = 1_000_000_000.0  # Sun, 09 Sep 2001 01:46:40 GMT


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 520, 522])
def test_passing_troubles_are_tried_again(status):
    """A request that was too slow, too many, or met a server in trouble may work later."""
    assert retry.is_transient(status)


@pytest.mark.parametrize("status", [200, 206, 301, 400, 401, 403, 404, 405, 410, 416, 501, 505])
def test_lasting_answers_are_not(status):
    """An answer that stays the same is final."""
    assert not retry.is_transient(status)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("0", 0),
        ("1", 1),
        ("86400", 86400),
        ("Sun, 09 Sep 2001 01:47:40 GMT", 60),
        ("Sun, 09 Sep 2001 01:40:00 GMT", 0),
        ("", None),
        ("-1", None),
        ("abc", None),
        ("985.86µs", None),
        ("1.5", None),
        ("²", None),
        ("Sun, 99 Sep 2001 01:40:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, wanted):
    """L02: a time the registry asks for is read, nonsense is as good as nothing."""
    assert retry.asked_wait(value, NOW) == wanted


def test_waits_double_up_to_a_limit_and_end():
    """The wait doubles after each attempt, never exceeds the longest, and ends with the attempts."""
    waits = [retry.wait(attempt, None, LIMITS, 1) for attempt in range(1, 7)]

    assert waits == [1, 2, 4, 8, 10, None]


def test_waits_are_spread():
    """The drawn fraction takes its part of the wait."""
    assert retry.wait(3, None, LIMITS, 0.25) == 1
    assert retry.wait(3, None, LIMITS, 0) == 0


@pytest.mark.parametrize(("asked", "wanted"), [(0, 2), (3, 3), (10, 10), (10.1, None)])
def test_a_wait_the_registry_asks_for_is_kept(asked, wanted):
    """No attempt comes sooner than asked, and none at all if that is longer than we ever wait."""
    assert retry.wait(2, asked, LIMITS, 1) == wanted
