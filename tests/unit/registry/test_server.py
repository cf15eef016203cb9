"""Connections of the server: how they go on, how they end, what they cost at most."""

import os
import time

import pytest
from support.serving import read_all, read_answer, serving

from layerkit import digest as digests
from layerkit.errors import StoreError
from layerkit.oci import OCI_MANIFEST
from layerkit.registry.server import ServerLimits
from layerkit.registry.serving import Document

SMALL = b"0123456789"
BIG = os.urandom(1 << 20) * 20
DIGEST = digests.of_bytes(SMALL)
BIG_DIGEST = digests.of_bytes(SMALL + b"big")
GET_MANIFEST = b"GET /v2/a/manifests/1 HTTP/1.1\r\n\r\n"
GET_SMALL = f"GET /v2/a/blobs/{DIGEST} HTTP/1.1\r\n".encode()
GET_BIG = f"GET /v2/a/blobs/{BIG_DIGEST} HTTP/1.1\r\n".encode()
CLOSE = b"Connection: close\r\n\r\n"


class Shelf:
    """A catalog with a manifest, a small and a big blob; the tag `broken` cannot be read."""

    def __init__(self, folder):
        self.small, self.big = folder / "small", folder / "big"
        self.small.write_bytes(SMALL)
        self.big.write_bytes(BIG)

    def tags(self, repository):
        return ["1"]

    def documents(self, repository, reference):
        if reference == "broken":
            raise StoreError("cannot read /secret/place: input/output error")
        return [Document(OCI_MANIFEST, digests.of_bytes(b"manifest"), b"manifest")]

    def blob(self, repository, digest):
        return self.big if digest == BIG_DIGEST else self.small


@pytest.fixture
def shelf(tmp_path):
    """The catalog."""
    return Shelf(tmp_path)


@pytest.fixture
def server(shelf):
    """A server with the usual patience."""
    with serving(shelf) as running:
        yield running


def wait_for(condition):
    """Wait until something is true."""
    while not condition():
        time.sleep(0.01)


def test_a_connection_serves_many_requests(server):
    """Requests follow one another on a connection, also if they are all sent at once."""
    with server.connect() as connection:
        connection.sendall(GET_MANIFEST * 2)
        first, second = read_answer(connection), read_answer(connection)
        connection.sendall(GET_SMALL + b"\r\n")
        third = read_answer(connection)

    assert first == second
    assert (first[0], first[2]) == (200, b"manifest")
    assert first[1]["docker-distribution-api-version"] == "registry/2.0"
    assert third[2] == SMALL


def test_a_head_has_the_length_but_no_body(server):
    """What follows the head of the answer is the next answer."""
    with server.connect() as connection:
        connection.sendall(b"HEAD" + GET_SMALL[3:] + b"\r\n")
        connection.sendall(GET_MANIFEST)
        with connection.makefile("rb") as stream:
            head = [line.strip() for line in iter(stream.readline, b"\r\n")]
            following = stream.readline()

    assert b"Content-Length: 10" in head
    assert following == b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("field", "body"),
    [
        (b"", BIG),
        (b"Range: bytes=300000-1000000\r\n", BIG[300000:1000001]),
        (b"Range: bytes=-5\r\n", BIG[-5:]),
    ],
)
def test_a_body_is_sent(server, field, body):
    """The bytes are those of the file, whole or in part, and the log counts them."""
    answer = server.ask(GET_BIG + field + CLOSE)

    assert answer.partition(b"\r\n\r\n")[2] == body
    assert [(each.sent, each.length) for each in server.log] == [(len(body), len(body))]


def test_an_empty_blob_is_sent(server, shelf):
    """A body of no bytes leaves the connection as it was."""
    shelf.small.write_bytes(b"")
    with server.connect() as connection:
        connection.sendall(GET_SMALL + b"\r\n" + GET_MANIFEST)

        assert read_answer(connection)[2] == b""
        assert read_answer(connection)[2] == b"manifest"


def test_known_content_has_no_body(server):
    """After a 304 the connection goes on."""
    with server.connect() as connection:
        connection.sendall(GET_SMALL + f'If-None-Match: "{DIGEST}"\r\n\r\n'.encode())
        connection.sendall(GET_MANIFEST)

        assert read_answer(connection)[0] == 304
        assert read_answer(connection)[2] == b"manifest"


def test_a_pushed_body_does_not_hide_the_refusal(server):
    """The client gets its 405 even when it sends on; then the connection ends."""
    head = b"PUT /v2/a/manifests/1 HTTP/1.1\r\nContent-Length: 100000\r\n\r\n"

    answer = server.ask(head + bytes(100000))

    assert answer.startswith(b"HTTP/1.1 405 ")
    assert b"\r\nConnection: close\r\n" in answer
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"NONSENSE\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 400),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 10_000, 431),
    ],
    ids=["tls", "empty", "small", "words", "http2", "colon", "S01-many", "S01-long", "S01-endless"],
)
def test_what_is_no_request_is_refused_at_once(server, sent, status):
    """Without waiting for more, and the connection ends."""
    assert server.ask(sent).startswith(f"HTTP/1.1 {status} ".encode())


def test_a_silent_client_is_left():
    """Whoever does not finish the head of a request in time is not waited for."""
    with serving(None, ServerLimits(idle=0.05)) as server:
        assert server.ask(b"") == b""
        assert server.ask(b"GET /v2/ HT") == b""
    assert server.log == []


def test_a_client_that_does_not_read_is_left(shelf):
    """Whoever does not take a piece of the body in time is not waited for."""
    with serving(shelf, ServerLimits(idle=0.05)) as server, server.connect() as connection:
        connection.sendall(GET_BIG + CLOSE)
        wait_for(lambda: server.log)

        assert len(read_all(connection)) < len(BIG)
    assert server.log[0].sent < server.log[0].length == len(BIG)


def test_too_many_connections_are_refused(shelf):
    """The one too many gets a 503; when another one has gone, the next is served."""
    with serving(shelf, ServerLimits(connections=1)) as server:
        with server.connect() as first:
            first.sendall(GET_MANIFEST)
            assert read_answer(first)[0] == 200
            assert server.ask(GET_MANIFEST).startswith(b"HTTP/1.1 503 ")
            first.sendall(GET_MANIFEST)
            assert read_answer(first)[0] == 200
        request = GET_MANIFEST[:-2] + CLOSE
        wait_for(lambda: server.ask(request).startswith(b"HTTP/1.1 200 "))


def test_a_client_that_leaves_harms_nobody(server):
    """A body that nobody wants any more ends its own connection only."""
    with server.connect() as connection:
        connection.sendall(GET_BIG + b"\r\n")
        connection.recv(1000)
    wait_for(lambda: server.log)

    assert server.log[0].sent < server.log[0].length
    assert server.ask(GET_SMALL + CLOSE).endswith(SMALL)


def test_a_file_that_shrinks_ends_the_connection(server, shelf):
    """A body that cannot be completed is not followed by anything else."""
    with server.connect() as connection:
        connection.sendall(GET_BIG + b"\r\n" + GET_MANIFEST)
        connection.recv(1000)
        os.truncate(shelf.big, 1 << 20)
        rest = read_all(connection)

    assert b"HTTP/1.1" not in rest
    assert server.log[0].sent < server.log[0].length


def test_a_removed_file_is_sent_to_its_end(server, shelf):
    """What goes while it is sent still arrives."""
    with server.connect() as connection:
        connection.sendall(GET_BIG + CLOSE)
        begin = connection.recv(1000)
        shelf.big.unlink()
        whole = begin + read_all(connection)

    assert whole.endswith(BIG[-1000:])


def test_what_the_store_cannot_give_is_told_here_only(server):
    """The client learns that it failed, the log why."""
    answer = server.ask(b"GET /v2/a/manifests/broken HTTP/1.1\r\n" + CLOSE)

    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"secret" not in answer
    assert server.log[0].problem == "cannot read /secret/place: input/output error"


def test_the_end_does_not_wait_for_clients(shelf):
    """Idle connections and bodies on their way end with the server."""
    with serving(shelf) as server:
        idle, busy = server.connect(), server.connect()
        busy.sendall(GET_BIG + b"\r\n")
        begin = busy.recv(1000)
    with idle, busy:
        assert read_all(idle) == b""
        assert len(begin + read_all(busy)) < len(BIG)
