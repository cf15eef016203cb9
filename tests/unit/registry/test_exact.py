"""A URL reaches the server as it was written."""

from __future__ import annotations

import pytest
from support.faults import redirect

from layerkit.registry import exact
from layerkit.registry.limits import Limits
from layerkit.registry.transport import Request, Transport

QUERY = "sig=a%2bb%2Fc%7E~&empty=&x"


@pytest.mark.parametrize(
    ("url", "written", "wanted"),
    [
        ("/a%2F", "http://h/a%2f?b=%7e", "/a%2f?b=%7e"),
        ("/", "http://h", "/"),
        ("/?q", "https://h:1?q", "/?q"),
        ("http://h/a%2F", "http://h/a%2f", "http://h/a%2f"),
    ],
    ids=["path-and-query", "nothing", "query", "to-a-proxy"],
)
def test_what_was_written_is_asked_for(url, written, wanted):
    """A server gets path and query, a proxy all of it; the header that says so is not sent."""
    assert exact.target(url, {exact.WRITTEN: written, "A": "b"}) == (wanted, {"A": "b"})


def test_other_requests_are_as_they_were():
    """Without the header nothing changes."""
    assert exact.target("/a%2F", {"A": "b"}) == ("/a%2F", {"A": "b"})


@pytest.mark.parametrize("proxied", [False, True], ids=["direct", "by-a-proxy"])
def test_a_signed_url_arrives_byte_for_byte(registry, other, proxied):
    """T03: neither upper nor lower case of its escapes changes on the way, behind a redirect too."""
    name = "storage.example" if proxied else other.host
    registry.fault("^/v2/$", redirect(f"http://{name}", query=QUERY))
    transport = Transport(Limits(connect=5, read=20), "test", {"http": other.url})

    with transport.send(Request(f"{registry.url}/v2/?{QUERY}")) as answer:
        assert answer.read_past(100) == b"{}"
    transport.close()

    assert [each.query for each in (*registry.requests, *other.requests)] == [QUERY, QUERY]
    assert ":url" not in {name.lower() for name in other.requests[0].headers}
