"""What a request says, and which bytes of a blob it wants."""

import pytest

from layerkit.registry.message import Request, accepts, knows, parse_head, wanted_range

ETAG = '"sha256:00"'


def head(line="GET /v2/ HTTP/1.1", *fields):
    """The bytes of a head."""
    return "\r\n".join([line, *fields, "", ""]).encode()


def asking(method="GET", **headers):
    """A request with these headers."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method, "/", "/", {}, named, last=False)


def test_a_head_is_read():
    """Method, path without escapes, parameters and headers by lower-case name come out."""
    request = parse_head(
        head(
            "GET /v2/a%2Fb/tags/list?n=2&n=3&ns=docker.io HTTP/1.1",
            "Host: x",
            "ACCEPT:a ",
            "accept:\tb",
            "X-Empty:",
        )
    )

    assert request == Request(
        "GET",
        "/v2/a%2Fb/tags/list?n=2&n=3&ns=docker.io",
        "/v2/a/b/tags/list",
        {"n": "2", "ns": "docker.io"},
        {"host": "x", "accept": "a, b", "x-empty": ""},
        last=False,
    )


def test_an_absolute_target_is_its_path():
    """What a client says to a proxy is understood (RFC 9112, 3.2.2)."""
    assert parse_head(head("GET http://host:1/v2/?n=1 HTTP/1.1")).path == "/v2/"


@pytest.mark.parametrize(
    ("line", "fields", "last"),
    [
        ("GET / HTTP/1.1", [], False),
        ("GET / HTTP/1.0", [], True),
        ("GET / HTTP/1.1", ["Connection: keep-alive"], False),
        ("GET / HTTP/1.1", ["Connection: Close"], True),
        ("GET / HTTP/1.1", ["Content-Length: 0"], False),
        ("GET / HTTP/1.1", ["Content-Length: 5"], True),
        ("GET / HTTP/1.1", ["Transfer-Encoding: chunked"], True),
    ],
)
def test_a_request_may_be_the_last(line, fields, last):
    """Nothing follows an old version, a wish to close, or a body, which nobody reads."""
    assert parse_head(head(line, *fields)).last == last


@pytest.mark.parametrize(
    "bad",
    [
        b"\x16",
        b"\r\n\r\n",
        head("GET / HTTP/2.0"),
        head("GET /"),
        head("GET  / HTTP/1.1"),
        head("GET /a b HTTP/1.1"),
        head("GET /\u00e9 HTTP/1.1"),
        head("G\tT / HTTP/1.1"),
        head("GET //[ HTTP/1.1"),
        head("GET / HTTP/1.1", "no colon"),
        head("GET / HTTP/1.1", "Host : x"),
        head("GET / HTTP/1.1", "A: x", " folded"),
        head("GET / HTTP/1.1", "A: x\x00"),
        head("GET / HTTP/1.1", "A: x\ny"),
        head("GET / HTTP/1.1", *["A: x"] * 101),
        head("GET /?" + "&".join(["a=1"] * 21) + " HTTP/1.1"),
    ],
)
def test_a_bad_head_is_refused(bad):
    """What is no request, or too much of one, is a `ValueError`."""
    with pytest.raises(ValueError, match=r"\S"):
        parse_head(bad)


@pytest.mark.parametrize(
    ("text", "size", "wanted"),
    [
        ("bytes=0-0", 10, range(1)),
        ("bytes=2-4", 10, range(2, 5)),
        ("bytes=2-99", 10, range(2, 10)),
        ("bytes=2-", 10, range(2, 10)),
        ("bytes=-3", 10, range(7, 10)),
        ("bytes=-99", 10, range(10)),
        ("bytes=-0", 10, range(0)),
        ("bytes=10-", 10, range(0)),
        ("bytes=10-12", 10, range(0)),
        ("bytes=0-", 0, range(0)),
        ("bytes=-1", 0, range(0)),
        ("", 10, None),
        ("bytes=4-2", 10, None),
        ("bytes=-", 10, None),
        ("bytes=0-1,3-4", 10, None),
        ("bytes=0-1, 3-4", 10, None),
        ("lines=0-1", 10, None),
        ("bytes 0-1", 10, None),
        ("bytes=0-1x", 10, None),
        ("bytes=+1-2", 10, None),
        ("bytes=\u0661-", 10, None),
        ("bytes=" + "9" * 5000 + "-", 10, None),
    ],
)
def test_a_range_is_read(text, size, wanted):
    """Closed, open and last bytes are taken; several, strange and broken ones mean everything."""
    assert wanted_range(asking(range=text), size, ETAG) == wanted


@pytest.mark.parametrize(
    ("request_", "wanted"),
    [
        (asking(range="bytes=1-1", if_range=ETAG), range(1, 2)),
        (asking(range="bytes=1-1", if_range='"other"'), None),
        (asking(range="bytes=1-1", if_range="Mon, 23 Nov 2026 21:36:50 GMT"), None),
        (asking("HEAD", range="bytes=1-1"), None),
    ],
)
def test_a_range_may_not_count(request_, wanted):
    """The range of other content, and that of a HEAD, is none (RFC 9110, 13.1.5 and 14.2)."""
    assert wanted_range(request_, 10, ETAG) == wanted


@pytest.mark.parametrize(
    ("text", "known"),
    [
        (ETAG, True),
        (f"W/{ETAG}", True),
        (f'"other", {ETAG}', True),
        ("*", True),
        ('"other"', False),
        ("", False),
        ("sha256:00", False),
    ],
)
def test_a_client_may_know_the_content(text, known):
    """If-None-Match is compared without regard to weakness (RFC 9110, 13.1.2)."""
    assert knows(asking(if_none_match=text), ETAG) == known


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("", True),
        (" , ", True),
        ("a/b", True),
        ("x/y, A/B;q=0.3", True),
        ("*/*", True),
        ("x/y, application/*", True),
        ("x/y", False),
        ("a/bc, a", False),
    ],
)
def test_a_client_may_say_what_it_takes(text, taken):
    """By Accept, without regard to case and weights; who says nothing takes all."""
    assert accepts(asking(accept=text), "a/b") == taken
