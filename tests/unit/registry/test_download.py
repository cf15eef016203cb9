"""A blob comes whole from a registry that lies, stalls and breaks off, with no byte to spare."""

from __future__ import annotations

import concurrent.futures
import contextlib
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
    Presigned,
    both,
    cap_range,
    chunked,
    crowded,
    cut,
    hang_up,
    ignore_range,
    lying_416,
    more_bytes,
    redirect,
    reset,
    shorter,
    silence,
    slow,
    stall,
    status,
)
from support.web import full_host, silent_host

from layerkit.errors import AuthError, IntegrityError, UnavailableError
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
    return store(tmp_path)


def store(folder):
    """A store for blobs in a folder."""
    (folder / "ingest").mkdir(parents=True)
    return BlobStore(folder)


@pytest.fixture
def fetch(registry, refer, blobs):
    """Fetches a blob of the registry into the store; gives the bytes as they were followed."""

    def run(descriptor, limits=LIMITS, rate=None, *, whole=False, blobs=blobs):
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


def test_k03_ranges_that_are_gone_meanwhile(registry, fetch, blob):
    """K03: what is here from the time before does no harm, and the whole answer is used."""
    registry.fault("blobs", After(3, status(500)))
    with pytest.raises(UnavailableError):
        fetch(blob)
    registry._faults.clear()
    registry.requests.clear()
    registry.fault("blobs", ignore_range)

    assert fetch(blob) == DATA
    assert len(registry.requests) == 1


def test_d04_a_cold_proxy(registry, fetch, blob, tmp_path):
    """D04: it sends all while it fetches the blob itself, and parts later; nobody gets it twice."""
    registry.fault("blobs", ignore_range, times=2)
    stores = [store(tmp_path / name) for name in ("one", "other")]

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        got = list(pool.map(lambda blobs: fetch(blob, blobs=blobs), stores))

    assert got == [DATA, DATA]
    assert sent(registry) <= 2 * len(DATA)


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


@pytest.mark.parametrize("fault", [hang_up, reset], ids=["D12-end", "D12-reset"])
def test_d12_connections_that_break_before_the_answer(registry, fetch, blob, fault):
    """Nothing is lost by them, and a few in a row do not end it."""
    registry.fault("blobs", After(1, fault), times=3)

    assert fetch(blob) == DATA
    assert sent(registry) == len(DATA)


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


@pytest.mark.parametrize(
    "fault",
    [silence, stall(0), stall(100)],
    ids=["D15-before-the-head", "D15-behind-the-head", "D15-in-the-body"],
)
def test_d15_silence_is_noticed(registry, fetch, blob, fault):
    """A connection where nothing comes any more is given up, and its piece asked for again."""
    registry.fault("blobs", After(1, fault), times=3)

    assert fetch(blob, replace(LIMITS, read=0.5)) == DATA


@pytest.mark.parametrize(
    "host", [silent_host, full_host], ids=["D15-no-answer", "D15-no-connection"]
)
def test_d15_a_host_that_takes_no_request(registry, fetch, blob, host):
    """Storage that cannot be talked to is given up in time, and asked for anew at the registry."""
    with host() as name:
        registry.fault("blobs", After(1, redirect(f"http://{name}")), times=3)

        assert fetch(blob, replace(LIMITS, connect=0.5, read=0.5)) == DATA


def test_t06_a_url_that_expires_is_asked_for_anew(registry, other, fetch, blob):
    """T06: where a signed URL has run out, the registry gives a new one; no byte comes twice."""
    other.add_blob("app", DATA)
    signed = Presigned(other.url, uses=1)
    expired = status(
        403, "<Error><Code>AccessDenied</Code></Error>", Content_Type="application/xml"
    )
    registry.fault("blobs", signed.redirect)
    other.fault("blobs", signed.check, times=3)
    other.fault("blobs", expired, times=1)
    other.fault("blobs", signed.check)

    assert fetch(blob, replace(LIMITS, blob_attempts=1)) == DATA

    assert [each.status for each in other.requests].count(403) == 1
    assert sum(each.sent for each in other.requests if each.status == 206) == len(DATA)
    assert len(registry.requests) == len(other.requests)


def test_t06_storage_that_always_refuses_ends_it(registry, other, fetch, blob):
    """T06: one new URL is asked for, not one after another, and the error names the storage."""
    registry.fault("blobs", redirect(other.url))
    other.fault("blobs", status(403))

    with pytest.raises(AuthError, match=f"{other.host} .redirected from registry {registry.host}"):
        fetch(blob)

    assert len(other.requests) == 2


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


def test_d18_all_connections_are_used_at_a_time(registry, fetch, blob):
    """D18: where each connection is limited, as many as may be are open together, and no more."""
    together = threading.Barrier(LIMITS.per_host)

    def wait_for_the_others(request, serve):
        together.wait(60)
        return serve(request)

    registry.fault("blobs", After(1, wait_for_the_others), times=1 + LIMITS.per_host)

    assert fetch(blob) == DATA
    assert registry.connections == LIMITS.per_host


def test_d19_a_body_without_a_length_is_counted(registry, fetch, blob):
    """D19: it is fine if it has the promised bytes, asked for again if it has fewer."""
    registry.fault("blobs", both(chunked, both(shorter(3 * EXTENT), ignore_range)), times=2)
    registry.fault("blobs", both(chunked, ignore_range))

    assert fetch(blob) == DATA
    assert len(registry.requests) == 3


def test_d19_a_body_that_always_ends_early_is_kept(registry, fetch, blob, blobs):
    """D19: it is given up in the end, and what came is there for the next time."""
    registry.fault("blobs", both(chunked, both(shorter(3 * EXTENT), ignore_range)))

    with pytest.raises(UnavailableError, match="broke off"):
        fetch(blob)

    assert blobs.arrived(blob.digest, blob.size) == 3 * EXTENT


def test_d19_a_body_without_an_end_is_left(registry, fetch, blob):
    """D19: what goes beyond the promised bytes is not read, whether it is told of or too late."""
    registry.fault("blobs", both(chunked, both(more_bytes(bytes(32 << 20)), ignore_range)))

    with contextlib.suppress(IntegrityError):  # the blob may be complete before anybody sees more
        assert fetch(blob) == DATA

    assert len(registry.requests) == 1
    assert sent(registry) <= len(DATA) + (16 << 20)  # what the sockets hold


def test_d21_no_encoding_is_asked_for(registry, other, fetch, blob):
    """D21: each request for a blob says so, behind a redirect too."""
    other.add_blob("app", DATA)
    registry.fault("blobs", redirect(other.url))

    fetch(blob)

    requests = [*registry.requests, *other.requests]
    assert {each.headers["Accept-Encoding"] for each in requests} == {"identity"}


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

    # The server may see a connection end long after the client.
    patient = replace(LIMITS, relief=60, blob_attempts=50, first_wait=0.01, longest_wait=0.3)

    assert fetch(blob, patient) == DATA


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
