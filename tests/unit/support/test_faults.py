"""Each fault of the test registry does what it says, as a plain socket sees it."""

import gzip
import io
import re
import socket
import threading
import time

import pytest
from support import faults
from support.faults import After, Corrupt, Presigned, both
from support.registry import TestRegistry
from support.serving import read_all, read_answer
from support.web import Request, full_host, silent_host

DATA = bytes(range(256)) * 4
SIZE = len(DATA)


@pytest.fixture
def registry():
    """A registry with one blob."""
    with TestRegistry() as running:
        running.blob = running.add_blob("app", DATA).digest
        yield running


@pytest.fixture
def path(registry):
    """Where the blob is."""
    return f"/v2/app/blobs/{registry.blob}"


def connect(registry):
    """A new connection."""
    host, port = registry.host.split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def send(connection, path, *fields, method="GET"):
    """Send a request."""
    connection.sendall("\r\n".join([f"{method} {path} HTTP/1.1", *fields, "", ""]).encode())


def ask(registry, path, *fields):
    """One answer on a connection of its own: status, headers, body."""
    with connect(registry) as connection:
        send(connection, path, *fields)
        return read_answer(connection)


def everything(registry, path, *fields):
    """All bytes that come until the server closes."""
    with connect(registry) as connection:
        send(connection, path, *fields, "Connection: close")
        return read_all(connection)


def drain(connection):
    """Read until the server closes, or fail when it resets."""
    while connection.recv(1000):
        pass


def body_of(received):
    """What stands behind the head."""
    return received.partition(b"\r\n\r\n")[2]


def ending(registry, number=-1):
    """How a request ended, once it has."""
    while not (registry.requests and registry.requests[number].ended):
        time.sleep(0.01)
    return registry.requests[number].ended


def says_nothing(connection):
    """Whether the connection is open and nothing has come."""
    connection.setblocking(False)
    try:
        connection.recv(1)
    except BlockingIOError:
        return True
    return False


def test_the_log_tells_of_every_request(registry, path):
    """Target, range, login, connection, how many are open, bytes and end are kept, in order."""
    with connect(registry) as first:
        send(first, f"{path}?x=1", "Range: bytes=0-9", "Authorization: Basic eDp5")
        read_answer(first)
        send(first, path, method="HEAD")
        read_until_idle = first.recv(1000)
        ask(registry, path)
        ending(registry)
    seen = registry.requests

    assert read_until_idle.startswith(b"HTTP/1.1 200")
    assert [each.method for each in seen] == ["GET", "HEAD", "GET"]
    assert (seen[0].target, seen[0].range, seen[0].authorization) == (
        f"{path}?x=1",
        "bytes=0-9",
        "Basic",
    )
    assert [each.connection for each in seen] == [1, 1, 2]
    assert [each.open for each in seen] == [1, 1, 2]
    assert [each.sent for each in seen] == [10, 0, SIZE]
    assert [each.ended for each in seen] == ["whole"] * 3
    assert seen[0].at <= seen[1].at <= seen[2].at


def test_a_client_that_leaves_is_seen(registry):
    """The log tells who did not want the rest."""
    digest = registry.add_blob("app", bytes(50 << 20)).digest
    with connect(registry) as connection:
        send(connection, f"/v2/app/blobs/{digest}")
        connection.recv(100)

    assert ending(registry) == "gone"
    assert registry.requests[0].sent < 50 << 20


def test_buffers_are_small(registry, path):
    """The kernel keeps little of what the client has not taken, so that counts mean something."""
    digest = registry.add_blob("app", bytes(50 << 20)).digest
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        host, port = registry.host.split(":")
        connection.connect((host, int(port)))
        send(connection, f"/v2/app/blobs/{digest}")
        connection.recv(1)
        sent = -1
        while sent != registry.requests[0].sent:
            sent = registry.requests[0].sent
            time.sleep(0.05)

    assert sent < 2 << 20


@pytest.mark.parametrize(
    ("fault", "answers", "how"),
    [
        (faults.hang_up, b"", "cut"),
        (faults.reset, b"", "reset"),
        (faults.cut(5), DATA[:5], "cut"),
        (faults.then_close, DATA, "cut"),
        (faults.shorter(5), DATA[:5], "whole"),
        (faults.surplus(b"xyz"), DATA + b"xyz", "whole"),
        (faults.more_bytes(b"xyz"), DATA + b"xyz", "whole"),
    ],
    ids=["hang up", "reset", "FIN", "then close", "shorter", "surplus", "more"],
)
def test_the_body_ends_elsewhere(registry, path, fault, answers, how):
    """So many bytes come, whatever was said, and the log knows why no more."""
    registry.fault("/blobs/", fault)

    assert body_of(everything(registry, path)) == answers
    assert ending(registry) == how


def test_a_reset_in_the_body_is_one(registry, path):
    """The client's next read fails."""
    registry.fault("/blobs/", faults.cut(5, reset=True))
    with connect(registry) as connection:
        send(connection, path)
        with pytest.raises(ConnectionResetError):
            drain(connection)
    assert ending(registry) == "reset"


@pytest.mark.parametrize(
    ("fault", "length"), [(faults.surplus(b"xyz"), SIZE), (faults.more_bytes(b"xyz"), SIZE + 3)]
)
def test_more_bytes_are_announced_or_not(registry, path, fault, length):
    """Content-Length is that of the blob, or of all that comes."""
    registry.fault("/blobs/", fault)

    assert f"Content-Length: {length}".encode() in everything(registry, path)


def test_a_connection_closes_between_requests(registry, path):
    """The answer is whole and does not say so, but there is no second one."""
    registry.fault("/blobs/", faults.then_close, times=1)
    with connect(registry) as connection:
        send(connection, path)
        status, headers, body = read_answer(connection)

        assert (status, body) == (200, DATA)
        assert "connection" not in headers
        assert connection.recv(1) == b""


@pytest.mark.parametrize(
    ("fault", "before"),
    [(faults.silence, b""), (faults.stall(0), b""), (faults.stall(7), DATA[:7])],
)
def test_a_stall_is_silent(registry, path, fault, before):
    """Before the head or in the body nothing more comes, and the connection stays open."""
    registry.fault("/blobs/", fault)
    with connect(registry) as connection:
        send(connection, path)
        assert ending(registry) == "stall"
        if fault is not faults.silence:
            received = b""
            while not received.endswith(b"\r\n\r\n" + before):
                received += connection.recv(1000)

        assert says_nothing(connection)


def test_a_host_may_never_answer():
    """A connection is taken, a request too, and nothing comes."""
    with silent_host() as host:
        name, port = host.split(":")
        with socket.create_connection((name, int(port)), timeout=30) as connection:
            send(connection, "/v2/")
            assert says_nothing(connection)


def test_a_host_may_be_full():
    """Connecting gets no answer at all."""
    with full_host() as host, socket.socket() as connection:
        name, port = host.split(":")
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.connect((name, int(port)))


def test_a_slow_body_takes_its_time(registry, path):
    """All of it comes, not faster than the rate."""
    registry.fault("/blobs/", faults.slow(10 * SIZE), times=1)
    begin = time.monotonic()

    assert ask(registry, path)[2] == DATA
    assert time.monotonic() - begin >= 0.1


def test_a_held_body_waits(registry, path):
    """The rest comes when the test says so."""
    until = threading.Event()
    registry.fault("/blobs/", faults.held(100, until))
    with connect(registry) as connection:
        send(connection, path)
        while not (registry.requests and registry.requests[0].sent == 100):
            time.sleep(0.01)
        assert registry.requests[0].ended == ""
        until.set()

        assert read_answer(connection)[2] == DATA


@pytest.mark.parametrize("fault", [faults.slow(1), faults.held(1, threading.Event())])
def test_the_server_can_always_end(fault):
    """A body that would take for ever does not keep the registry from closing."""
    with TestRegistry() as registry:
        digest = registry.add_blob("app", DATA).digest
        registry.fault("/blobs/", fault)
        connection = connect(registry)
        send(connection, f"/v2/app/blobs/{digest}")
        while not registry.requests:
            time.sleep(0.01)
    with connection:
        assert len(body_of(read_all(connection))) < SIZE


@pytest.mark.parametrize("name", faults.WRONG_CONTENT_RANGES | faults.ODD_CONTENT_RANGES)
def test_a_content_range_is_another(registry, path, name):
    """The bytes are the right ones, the header is not that of the honest answer; a 200 has none."""
    ranges = {**faults.WRONG_CONTENT_RANGES, **faults.ODD_CONTENT_RANGES}
    honest = ask(registry, path, "Range: bytes=10-19")
    registry.fault("/blobs/", ranges[name])
    status, headers, body = ask(registry, path, "Range: bytes=10-19")

    assert (status, body) == (honest[0], honest[2]) == (206, DATA[10:20])
    assert headers.get("content-range") != honest[1]["content-range"]
    assert ("content-range" in headers) == (name != "missing")
    assert "content-range" not in ask(registry, path)[1]


@pytest.mark.parametrize(
    ("field", "start", "end"),
    [("bytes=0-99", 0, 9), ("bytes=5-", 5, 14), ("bytes=5-7", 5, 7), ("bytes=1020-", 1020, 1023)],
)
def test_a_range_is_capped(registry, path, field, start, end):
    """At most ten bytes come, and the header says which."""
    registry.fault("/blobs/", faults.cap_range(10))

    status, headers, body = ask(registry, path, f"Range: {field}")

    assert (status, body) == (206, DATA[start : end + 1])
    assert headers["content-range"] == f"bytes {start}-{end}/{SIZE}"
    assert ask(registry, path)[0] == 200


def test_a_range_is_ignored(registry, path):
    """The whole blob comes with 200, once or always."""
    registry.fault("/blobs/", faults.ignore_range, times=1)

    assert ask(registry, path, "Range: bytes=0-9")[::2] == (200, DATA)
    assert ask(registry, path, "Range: bytes=0-9")[::2] == (206, DATA[:10])


def test_a_416_lies_about_its_body(registry, path):
    """It promises as many bytes as the blob has and sends a line."""
    registry.fault("/blobs/", faults.lying_416)
    with connect(registry) as connection:
        send(connection, path, "Range: bytes=5000-", "Connection: close")
        head, _, body = read_all(connection).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 416 ")
    assert f"Content-Length: {SIZE}".encode() in head
    assert 0 < len(body) < 40


def test_a_token_dies_in_the_middle():
    """After so many answers the token is not good any more, and the challenge comes again."""
    with TestRegistry(login="bearer") as registry:
        digest = registry.add_blob("app", DATA).digest
        path = f"/v2/app/blobs/{digest}"
        registry.fault("/blobs/", After(2, faults.doing(registry.forget_tokens)))
        query = "/token?service=test&scope=repository:app:pull"
        token = re.search(rb'"token": "([^"]+)"', ask(registry, query)[2])[1].decode()
        answers = [ask(registry, path, f"Authorization: Bearer {token}") for _ in range(3)]

    assert [status for status, _, _ in answers] == [200, 200, 401]
    assert answers[2][1]["www-authenticate"].startswith("Bearer realm=")
    assert registry.requests[-1].authorization == "Bearer"


@pytest.mark.parametrize("code", [429, 503])
def test_a_limit_passes(registry, path, code):
    """So often there is a refusal that says when to come again."""
    registry.fault("/blobs/", faults.status(code, Retry_After="7"), times=2)
    answers = [ask(registry, path) for _ in range(3)]

    assert [status for status, _, _ in answers] == [code, code, 200]
    assert answers[0][1]["retry-after"] == "7"


def test_a_crowd_is_refused(registry, path):
    """While too many connections are open, a request is refused and its connection closed."""
    registry.fault("/blobs/", faults.crowded(1, Retry_After="1"))
    with connect(registry) as first:
        send(first, path)
        assert read_answer(first)[0] == 200
        with connect(registry) as second:
            send(second, path)
            status, headers, _ = read_answer(second)
            assert (status, headers["retry-after"]) == (503, "1")
            assert second.recv(1) == b""
    while ask(registry, path)[0] != 200:
        time.sleep(0.01)


def test_a_presigned_url_wears_out(registry, path):
    """It is good for two requests without a login; then, or changed, it is refused in XML."""
    with TestRegistry() as origin:
        origin.add_blob("app", DATA)
        presigned = Presigned(origin.url, uses=2)
        registry.fault("/blobs/", presigned.redirect)
        origin.fault("", presigned.check)
        status, headers, _ = ask(registry, path)
        location = headers["location"]
        target = location.removeprefix(origin.url)

        assert status == 307
        assert location.startswith(f"{origin.url}{path}?")
        assert ask(origin, target, "Authorization: Bearer x")[0] == 400
        assert (
            presigned.check(Request("HEAD", path, target.partition("?")[2], {}), None).status == 403
        )
        assert ask(origin, target, "Range: bytes=0-9")[::2] == (206, DATA[:10])
        assert ask(origin, target.replace("%2f", "%2F"))[0] == 403
        assert ask(origin, target)[::2] == (200, DATA)
        expired = ask(origin, target)
        assert expired[0] == 403
        assert expired[1]["content-type"] == "application/xml"
        assert b"<Message>Request has expired</Message>" in expired[2]
        fresh = ask(registry, path)[1]["location"].removeprefix(origin.url)
        assert ask(origin, fresh)[0] == 200


@pytest.mark.parametrize(
    ("fault", "clean"),
    [
        (faults.chunked, DATA),
        (both(faults.chunked, faults.shorter(10)), DATA[:10]),
        (both(faults.chunked, faults.more_bytes(b"xyz")), DATA + b"xyz"),
    ],
    ids=["whole", "short", "long"],
)
def test_a_body_comes_in_chunks(registry, path, fault, clean):
    """Without a length, ended as it should be, however much it is."""
    registry.fault("/blobs/", fault)
    head, _, body = everything(registry, path).partition(b"\r\n\r\n")

    assert b"Content-Length" not in head
    assert body == b"%x\r\n%s\r\n0\r\n\r\n" % (len(clean), clean)


@pytest.mark.parametrize(
    ("fault", "label", "decode"),
    [
        (faults.encoded(), "gzip", gzip.decompress),
        (faults.encoded("x-gzip"), "x-gzip", gzip.decompress),
        (faults.mislabelled("x-gzip"), "x-gzip", bytes),
        (faults.mislabelled("br"), "br", bytes),
    ],
)
def test_a_body_is_labelled(registry, path, fault, label, decode):
    """With an encoding that it has, or has not."""
    registry.fault("/blobs/", fault)
    _, headers, body = ask(registry, path)

    assert headers["content-encoding"] == label
    assert decode(body) == DATA


def test_a_bomb_grows(registry, path):
    """What comes is a thousandth of what it becomes."""
    size = (64 << 20) + 5
    registry.fault("/blobs/", faults.gzip_bomb(size))
    _, headers, body = ask(registry, path)
    with gzip.open(io.BytesIO(body)) as file:
        grown = sum(map(len, iter(lambda: file.read(1 << 20), b"")))

    assert headers["content-encoding"] == "gzip"
    assert (grown, len(body) < size // 900) == (size, True)


@pytest.mark.parametrize(("times", "wrong"), [(1, [True, False]), (None, [True, True])])
def test_a_byte_is_wrong(registry, path, times, wrong):
    """Only ranges that hold it are, once or always; the others are not counted."""
    registry.fault("/blobs/", Corrupt(15, times))
    around = [
        ask(registry, path, "Range: bytes=0-9")[2],
        ask(registry, path, "Range: bytes=20-")[2],
    ]
    inside = [ask(registry, path, "Range: bytes=10-19")[2] for _ in range(2)]

    assert around == [DATA[:10], DATA[20:]]
    assert [body != DATA[10:20] for body in inside] == wrong
    assert inside[0] == DATA[10:15] + bytes([DATA[15] ^ 1]) + DATA[16:20]


@pytest.mark.parametrize("name", [each for each in faults.HOSTILE_HEADS if "endless" not in each])
def test_a_hostile_answer_comes_as_it_is(registry, path, name):
    """The bytes are sent without anything around them; then the connection ends."""
    registry.fault("/blobs/", faults.HOSTILE_HEADS[name])

    assert everything(registry, path)
    assert ending(registry) == "cut"


@pytest.mark.parametrize("name", [each for each in faults.HOSTILE_HEADS if "endless" in each])
def test_an_endless_answer_has_no_end(registry, path, name):
    """It goes on until the client leaves."""
    registry.fault("/blobs/", faults.HOSTILE_HEADS[name])
    with connect(registry) as connection:
        send(connection, path)
        received = 0
        while received < 1 << 20:
            received += len(connection.recv(1 << 16))

    assert ending(registry) == "gone"
