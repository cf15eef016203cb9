"""Sizes and times have docker's words."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from layerkit.cli import units

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        (0, "0B"),
        (1, "1B"),
        (999, "999B"),
        (1000, "1kB"),
        (1234, "1.23kB"),
        (203123456, "203MB"),
        (76_097_157, "76.1MB"),
        (999_499, "999kB"),
        (999_999, "1MB"),
        (1_500_000_000, "1.5GB"),
        (10**18, "1EB"),
        (2**70, "1.18e+03EB"),
    ],
)
def test_sizes_have_three_digits(size, wanted):
    """A size has 3 significant digits and a unit of powers of 1000."""
    assert units.human_size(size) == wanted


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        (0, "0B"),
        (1023, "1023B"),
        (1024, "1KiB"),
        (1_234_567, "1.177MiB"),
        (25_276_000_000, "23.54GiB"),
        (2**80, "1.049e+06EiB"),
    ],
)
def test_sizes_of_memory_count_by_1024(size, wanted):
    """A size of memory has 4 significant digits and a unit of powers of 1024."""
    assert units.binary_size(size) == wanted


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [
        (-5, "Less than a second"),
        (0.9, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (59 * MINUTE, "59 minutes"),
        (60 * MINUTE, "About an hour"),
        (89 * MINUTE, "About an hour"),
        (90 * MINUTE, "2 hours"),
        (47 * HOUR, "47 hours"),
        (48 * HOUR, "2 days"),
        (13 * DAY, "13 days"),
        (14 * DAY, "2 weeks"),
        (59 * DAY, "8 weeks"),
        (60 * DAY, "2 months"),
        (729 * DAY, "24 months"),
        (730 * DAY, "2 years"),
        (20000 * DAY, "54 years"),
    ],
)
def test_spans_have_dockers_words(seconds, wanted):
    """A span is told in the unit that docker takes for it."""
    assert units.human_duration(timedelta(seconds=seconds)) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2024-02-01T12:00:00Z", "4 weeks ago"),
        ("2024-03-01T10:59:59.123456789Z", "About an hour ago"),
        ("2024-03-01T14:00:00+04:00", "2 hours ago"),
        ("2024-02-28T12:00:00", "2 days ago"),
        ("0001-01-01T00:00:00Z", "2024 years ago"),
        ("", "N/A"),
        ("yesterday", "N/A"),
        ("2024-13-01T00:00:00Z", "N/A"),
    ],
)
def test_ages_are_told_from_the_time_in_the_config(text, wanted):
    """RFC 3339 in every form becomes an age; what is no time is not available."""
    assert units.ago(text, NOW) == wanted


@pytest.mark.parametrize(
    ("text", "listed", "exact"),
    [
        ("2020-11-14T00:20:04.5Z", "2020-11-14 00:20:04 +0000 UTC", "2020-11-14T00:20:04Z"),
        ("2020-11-14T02:20:04+02:00", "2020-11-14 00:20:04 +0000 UTC", "2020-11-14T00:20:04Z"),
        ("", "N/A", "N/A"),
    ],
)
def test_times_are_in_the_local_zone(monkeypatch, text, listed, exact):
    """Times are shown in the zone of the machine, in docker's two forms."""
    monkeypatch.setenv("TZ", "UTC")

    assert (units.local_time(text), units.rfc3339(text)) == (listed, exact)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_at_the_end_of_the_calendar_is_no_crash(text):
    """A year that cannot be put into this zone is shown as it is."""
    assert units.local_time(text)[:4] in ("0001", "9999", "1-01", "1000")
    assert units.rfc3339(text)[:4] in ("0001", "9999")
    assert units.ago(text, NOW)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("20000", 20_000),
        ("20000B", 20_000),
        ("1k", 1 << 10),
        ("500MiB", 500 << 20),
        ("500 MB", 500_000_000),
        ("500mb", 500_000_000),
        ("100G", 100 << 30),
        ("1.5G", 3 << 29),
        ("0.1kB", 100),
        ("2T", 2 << 40),
        ("2PB", 2 * 10**15),
        ("", None),
        ("G", None),
        ("-1G", None),
        ("1,5G", None),
        (".5G", None),
        ("1.G", None),
        ("1e9", None),
        ("1 GB more", None),
        ("1XB", None),
        ("\u0661G", None),
        ("9" * 19, None),
    ],
)
def test_a_size_that_a_user_writes(text, size):
    """Binary with a letter or `iB`, decimal with `B`, in any case; all else is no size."""
    assert units.parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0", timedelta(0)),
        ("90s", timedelta(seconds=90)),
        ("10m", timedelta(minutes=10)),
        ("12h", timedelta(hours=12)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
        ("1h30m", timedelta(minutes=90)),
        ("0h", timedelta(0)),
        ("999999w", timedelta(weeks=999_999)),
        ("", None),
        ("7", None),
        ("d", None),
        ("-1d", None),
        ("1.5d", None),
        ("7 d", None),
        ("7d ", None),
        ("7D", None),
        ("1y", None),
        ("1000000d", None),
        ("\u0661d", None),
        ("1s" * 6, None),
    ],
)
def test_a_duration_that_a_user_writes(text, wanted):
    """Whole numbers with s, m, h, d or w, one behind the other, or 0; all else is none."""
    assert units.parse_duration(text) == wanted


MOMENT = 1_700_000_000 * 10**9


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0", 0),
        ("1136073845", 1_136_073_845 * 10**9),
        ("1136073845.000000001", 1_136_073_845 * 10**9 + 1),
        ("1136073845.5", 1_136_073_845 * 10**9 + 500_000_000),
        ("10m", MOMENT - 600 * 10**9),
        ("1h1m1.5s", MOMENT - 3_661_500_000_000),
        ("3ms2us1ns", MOMENT - 3_002_001),
        ("999999999999h", 0),
        ("2013-01-02T00:00:00Z", 1_357_084_800 * 10**9),
        ("2013-01-02T00:00:00.123456789Z", 1_357_084_800_123_456_789),
        ("2013-01-02T00:00:00.25-08:00", 1_357_113_600_250_000_000),
        ("2013-01-02T03:04:05", 1_357_095_845 * 10**9),
        ("2013-01-02T03:04", 1_357_095_840 * 10**9),
        ("2013-01-02T03", 1_357_095_600 * 10**9),
        ("2013-01-02", 1_357_084_800 * 10**9),
        ("2013-01-02Z", 1_357_084_800 * 10**9),
        ("1960-01-01", 0),
        ("", None),
        ("now", None),
        ("10", 10 * 10**9),
        ("-10", None),
        ("1d", None),
        ("2013-13-02", None),
        ("2013-01-02T25:00:00Z", None),
        ("2013-01-02.5", None),
        ("2013-01-02T03:04:05.1234567890Z", None),
        ("٣", None),
        ("9" * 400, None),
    ],
)
def test_moments_are_as_docker_reads_them(monkeypatch, text, wanted):
    """Seconds since 1970, a duration before now, or RFC 3339 as far as it goes, here in UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()

    assert units.parse_moment(text, MOMENT) == wanted
