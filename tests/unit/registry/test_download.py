"""A blob comes whole from a registry that lies, stalls and breaks off, with no byte to spare."""

from __future__ import annotations

import itertools
import random
import re
import threading
import time
from concurrent.futures import CancelledError
from dataclasses import replace

import pytest
from support.faults import (
    ODD_CONTENT_RANGES,
    WRONG_CONTENT_RANGES,
    After,
    Corrupt,
    cap_range,
    crowded,
    cut,
    ignore_range,
    lying_416,
    slow,
    stall,
    status,
)

from layerkit.errors import IntegrityError, UnavailableError
from layerkit.registry import Client, Limits
from layerkit.registry.download import Downloader
from layerkit.store.blobs import BlobStore

EXTENT = 64 << 10
LIMITS = Limits(
    connect=5,
    read=5,
    attempts=3,
    first_wait=0.001,
    longest_wait=0.01,
    extent=EXTENT,
    ranged_from=2 * EXTENT,
    blob_attempts=4,
    progress=4 << 10,
    slow_after=60,
    relief=0.05,
)
DATA = random.Random(3).randbytes(10 * EXTENT + 17)
SLACK = 64 << 10


@pytest.fixture
def blobs(tmp_path):
    """A store for blobs."""
    (tmp_path / "ingest").mkdir()
    return BlobStore(tmp_path)


@pytest.fixture
def fetch(registry, refer, blobs):
    """Fetches a blob of the registry into the store; gives the bytes as they were followed."""

    def run(descriptor, limits=LIMITS, rate=None, *, whole=False):
        with (
            Client(limits=limits) as client,
            Downloader(client, rate=rate) as downloader,
            blobs.ingest(descriptor.digest, descriptor.size) as transaction,
        ):
            reference = refer(registry, "app:1")
            with downloader.transfer(reference, descriptor, transaction, lambda: None, whole=whole):
                data = b"".join(transaction.follow())
            transaction.commit()
        return data

    return run


@pytest.fixture
def blob(registry):
    """A blob of ten extents and a bit."""
    return registry.add_blob("app", DATA)


def ranges(registry):
    """The spans asked for, in order of their begin."""
    found = [re.fullmatch(r"bytes=(\d+)-(\d+)", each.range) for each in registry.requests]
    return sorted((int(each[1]), int(each[2]) + 1) for each in found if each)


def sent(registry):
    """The bytes of bodies that were sent."""
    return sum(request.sent for request in registry.requests)


@pytest.mark.parametrize(
    "size", [0, 1, EXTENT - 1, EXTENT, EXTENT + 1, 2 * EXTENT, 10 * EXTENT + 17], ids=str
)
def test_d01_any_size_comes_whole(registry, fetch, size):
    """D01, D02: small blobs by one request, large ones by closed ranges that meet; none for nothing."""
    descriptor = registry.add_blob("app", DATA[:size])

    assert fetch(descriptor) == DATA[:size]

    if size < LIMITS.ranged_from:
        assert [request.range for request in registry.requests] == [""] * (size > 0)
    else:
        asked = ranges(registry)
        assert (asked[0][0], asked[-1][1]) == (0, size)
        assert all(one[1] == other[0] for one, other in itertools.pairwise(asked))
    assert sent(registry) == size
    assert registry.connections <= LIMITS.per_host


def test_d03_ranges_that_are_ignored_cost_nothing(registry, fetch, blob):
    """D03: the one whole answer is used, and nobody else asks."""
    registry.fault("blobs", ignore_range)

    assert fetch(blob) == DATA
    assert len(registry.requests) == 1


@pytest.mark.parametrize("form", WRONG_CONTENT_RANGES, ids=str)
def test_d06_a_wrong_content_range_is_not_believed(registry, fetch, blob, form):
    """D06: such an answer is asked for again, and given up in the end."""
    registry.fault("blobs", WRONG_CONTENT_RANGES[form], times=2)
    assert fetch(blob) == DATA

    other = registry.add_blob("app", DATA[1:])
    registry.fault("blobs", WRONG_CONTENT_RANGES[form])
    with pytest.raises(UnavailableError, match="sent the wrong part"):
        fetch(other)


@pytest.mark.parametrize("form", ODD_CONTENT_RANGES, ids=str)
def test_d06_an_odd_content_range_is_understood(registry, fetch, blob, form):
    """D06: without a unit, or without the size of the whole."""
    registry.fault("blobs", ODD_CONTENT_RANGES[form])

    assert fetch(blob) == DATA
    assert sent(registry) == len(DATA)


def test_d08_less_than_asked_is_no_failure(registry, fetch, blob):
    """D08: a registry that caps its answers is asked for the rest of each."""
    registry.fault("blobs", cap_range(EXTENT // 3))

    assert fetch(blob, replace(LIMITS, blob_attempts=1)) == DATA
    assert sent(registry) == len(DATA)


def test_d09_a_lying_416_means_the_whole(registry, fetch, blob):
    """D09: its body is not waited for; the blob is asked for without a range."""
    registry.fault("blobs", lying_416, times=1)

    assert fetch(blob) == DATA


@pytest.mark.parametrize("reset", [False, True], ids=["D11-end", "D12-reset"])
def test_d11_connections_that_break_lose_little(registry, fetch, blob, reset):
    """D11, D12: whatever came counts; progress makes the failures not count."""
    registry.fault("blobs", cut(20 << 10, reset=reset), times=20)

    assert fetch(blob) == DATA
    assert sent(registry) <= len(DATA) + 20 * SLACK


def test_d14_no_progress_is_given_up(registry, fetch, blob, blobs):
    """D14: after as many tries as the limits say; what came otherwise is kept and used."""
    registry.fault("blobs", After(3, status(500)))
    with pytest.raises(UnavailableError, match="status 500"):
        fetch(blob)
    kept = blobs.arrived(blob.digest, blob.size)
    registry._faults.clear()
    before = sent(registry)

    fetch(blob)

    assert kept >= EXTENT
    assert sent(registry) - before == len(DATA) - kept


def test_d16_a_slow_connection_is_cut(registry, fetch, blob):
    """D16: one that hardly moves is asked again elsewhere, while it still hangs."""
    registry.fault("blobs", After(2, stall(100)), times=3)

    assert fetch(blob, replace(LIMITS, slow_after=0.2, read=60)) == DATA


def test_d16_a_single_slow_connection_has_a_floor(registry, fetch):
    """D16: also without peers, nobody waits for a drip."""
    descriptor = registry.add_blob("app", DATA[:EXTENT])
    registry.fault("blobs", slow(200), times=1)

    assert fetch(descriptor, replace(LIMITS, slow_after=0.2, read=60)) == DATA[:EXTENT]
    assert len(registry.requests) == 2


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504, 522])
def test_d27_what_may_be_better_later_is_asked_again(registry, fetch, blob, code):
    """D27: each once, on different pieces."""
    for number in (0, 2, 4):
        registry.fault("blobs", After(number, status(code)), times=number + 1)

    assert fetch(blob) == DATA


@pytest.mark.parametrize("code", [400, 403, 404, 410, 501, 505])
def test_d27_what_will_not_be_better_is_told_at_once(registry, fetch, blob, code):
    """D27: one request, at most one more without a range, and an error."""
    registry.fault("blobs", status(code))

    with pytest.raises(Exception, match=f"{code}|denies|has no") as caught:
        fetch(blob)

    assert not isinstance(caught.value, UnavailableError)
    assert len(registry.requests) <= 2


def test_d22_wrong_bytes_are_told_by_the_digest(registry, fetch, blob, blobs):
    """D22: nothing of a blob that is wrong is kept, and asked for in one piece it is right."""
    registry.fault("blobs", Corrupt(3 * EXTENT, 1))
    with pytest.raises(IntegrityError, match="wrong digest"):
        fetch(blob)
    assert blobs.arrived(blob.digest, blob.size) == 0

    assert fetch(blob, whole=True) == DATA
    assert registry.requests[-1].range == ""


def test_l01_a_pause_holds_for_the_whole_registry(registry, fetch, blob):
    """L01: who asks to wait is waited for, and such answers are no failures."""
    registry.fault("blobs", After(1, status(429, Retry_After="1")), times=2)

    assert fetch(blob, replace(LIMITS, blob_attempts=1)) == DATA

    refused = [each.at for each in registry.requests if each.status == 429]
    later = [each.at for each in registry.requests if each.at > refused[0] + 0.5]
    assert min(later) >= refused[0] + 1


def test_l05_a_crowded_registry_is_asked_less(registry, fetch, blob):
    """L05: the client settles at what the registry bears."""
    registry.fault("blobs", crowded(2))

    assert fetch(blob, replace(LIMITS, relief=60, blob_attempts=20)) == DATA


def test_a_rate_is_kept(registry, fetch, blob):
    """--limit-rate: the connections share it; the bytes are the same."""
    rate = 2 << 20
    before = time.monotonic()

    assert fetch(blob, rate=rate) == DATA

    least = (len(DATA) - 256 * 1024) / rate  # nobody waits after the last chunk
    assert time.monotonic() - before >= least


def test_k02_closing_ends_what_is_waited_for(registry, refer, blobs, blob):
    """K02: who follows a blob is told at once, and what came is kept."""
    registry.fault("blobs", After(1, stall(100)))
    with Client(limits=replace(LIMITS, read=60)) as client, Downloader(client) as downloader:
        threading.Timer(0.3, downloader.close).start()
        with (
            blobs.ingest(blob.digest, blob.size) as transaction,
            downloader.transfer(refer(registry, "app:1"), blob, transaction, lambda: None),
            pytest.raises(CancelledError),
        ):
            for _ in transaction.follow():
                pass

    assert blobs.arrived(blob.digest, blob.size) >= EXTENT // 2
