"""Where requests may go."""

from __future__ import annotations

import pytest

from layerkit.registry import address

LOOPBACK = ["localhost", "LOCALHOST", "127.0.0.1", "127.255.0.9", "::1"]
LOCAL = [
    *LOOPBACK,
    "localhost.",
    "x.localhost",
    "127.1",
    "0x7f.1",
    "2130706433",
    "0",
    "0.0.0.0",
    "::",
    "::ffff:127.0.0.1",
    "169.254.169.254",
    "fe80::1",
    "::ffff:169.254.169.254",
]
ELSEWHERE = ["example.com", "10.0.0.1", "128.0.0.1", "2001:db8::1", "localhost.com", "abc", "fe.de"]


@pytest.mark.parametrize("host", LOCAL)
def test_this_machine_is_known_in_every_spelling(host):
    """T07: loopback, link-local and unspecified addresses are local however they are written."""
    assert address.is_local(host)


@pytest.mark.parametrize("host", ELSEWHERE)
def test_other_hosts_are_not_local(host):
    """Names and addresses elsewhere are not local."""
    assert not address.is_local(host)


@pytest.mark.parametrize(
    ("base", "location", "wanted"),
    [
        ("https://r.io/v2/a", "https://cdn.io/x?s=%7Ea%2fb", "https://cdn.io/x?s=%7Ea%2fb"),
        ("https://r.io/v2/a", "/x/y", "https://r.io/x/y"),
        ("https://r.io/v2/a", "b?c=d", "https://r.io/v2/b?c=d"),
        ("https://r.io/v2/a", "//cdn.io/x", "https://cdn.io/x"),
        ("https://r.io/v2/a", "HTTPS://CDN.io:443/X", "https://CDN.io:443/X"),
        ("https://r.io/v2/a", "https://cdn.io/x#part", "https://cdn.io/x"),
        ("https://r.io/v2/a", "https://cdn.io/a b\xe9", "https://cdn.io/a%20b%E9"),
        ("https://r.io/v2/a", "https://[2001:db8::1]:5/x", "https://[2001:db8::1]:5/x"),
        ("http://localhost:5/a", "http://127.0.0.2:6/b", "http://127.0.0.2:6/b"),
        ("http://localhost:5/a", "https://cdn.io/b", "https://cdn.io/b"),
        ("http://localhost:5/a", "http://cdn.io/b", "http://cdn.io/b"),
        ("http://192.168.0.1/a", "http://192.168.0.2/b", "http://192.168.0.2/b"),
    ],
)
def test_addresses_that_may_be_followed(base, location, wanted):
    """T02: a location is resolved against the request, its escapes untouched."""
    assert address.follow(base, location) == wanted


@pytest.mark.parametrize(
    ("base", "location", "reason"),
    [
        ("https://r.io/", "", "names no address"),
        ("https://r.io/", "http://r.io/", "without TLS"),
        ("https://r.io/", "https://127.0.0.1/", "of this machine or its link"),
        ("https://r.io/", "https://2130706433/", "of this machine or its link"),
        ("https://r.io/", "https://[::1]/", "of this machine or its link"),
        ("https://r.io/", "https://169.254.169.254/latest", "of this machine or its link"),
        ("https://r.io/", "https://localhost:5000/", "of this machine or its link"),
        ("https://10.0.0.1/", "https://127.0.0.1/", "of this machine or its link"),
        ("https://r.io/", "file:///etc/passwd", "neither http nor https"),
        ("https://r.io/", "javascript:x", "neither http nor https"),
        ("https://r.io/", "https://user:pw@cdn.io/", "has credentials"),
        ("https://r.io/", "https://@cdn.io/", "has credentials"),
        ("http://r.io/", "https:///x", "no valid host"),
        ("https://r.io/", "https://c\xe9.io/x", "no valid host"),
        ("https://r.io/", "https://a b/", "no valid host"),
        ("https://r.io/", "https://cdn.io:99999/", "[Pp]ort"),
        ("https://r.io/", "https://cdn.io:x/", "[Pp]ort"),
        ("https://r.io/", "https://[::1/", "IPv6"),
    ],
)
def test_addresses_that_must_not_be_followed(base, location, reason):
    """T07: no way leads to less TLS, to this machine, to other schemes, or to a broken address."""
    with pytest.raises(ValueError, match=reason) as caught:
        address.follow(base, location)

    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://r.io/x", "r.io"),
        ("https://R.io:443/x", "r.io"),
        ("https://r.io:5000/x", "r.io:5000"),
        ("http://[::1]:5000/", "[::1]:5000"),
        ("http://localhost/", "localhost"),
    ],
)
def test_origins_are_named_as_people_write_them(url, name):
    """The usual port is left out, IPv6 has brackets."""
    assert address.origin(url).name == name


def test_origins_differ_in_scheme_host_and_port():
    """Two origins are the same only if scheme, host and port all are."""
    urls = ["http://a/", "https://a/", "http://b/", "http://a:81/", "http://x.a/"]

    assert len({address.origin(url) for url in urls}) == len(urls)
    assert address.origin("http://A:80/x") == address.origin("http://a/y")


@pytest.mark.parametrize(
    ("url", "no_proxy"),
    [
        ("http://localhost:5000/", ""),
        ("http://127.0.0.1/", "r.io"),
        ("http://[::1]/", ""),
        ("https://r.io/", "*"),
        ("https://r.io/", "a.io, R.io"),
        ("https://x.r.io/", "r.io"),
        ("https://x.r.io/", ".r.io"),
        ("https://x.r.io/", "*.r.io"),
        ("https://r.io:5000/", "r.io:5000"),
        ("https://r.io:5000/", "r.io"),
        ("https://r.io/", "r.io:443"),
        ("https://10.1.2.3/", "10.0.0.0/8"),
        ("https://10.1.2.3/", "10.1.2.3"),
        ("https://10.1.2.3:80/", "10.1.2.3:80"),
        ("https://[2001:db8::1]/", "2001:db8::/32"),
        ("https://[2001:db8::1]/", "2001:0db8::1"),
        ("https://[2001:db8::1]:80/", "[2001:db8::1]:80"),
    ],
)
def test_what_is_asked_without_a_proxy(url, no_proxy):
    """T13: this machine always, and hosts, domains, addresses and networks of the list."""
    assert address.goes_direct(address.origin(url), no_proxy)


@pytest.mark.parametrize(
    ("url", "no_proxy"),
    [
        ("https://r.io/", ""),
        ("https://r.io/", " , "),
        ("https://r.io/", "x.r.io"),
        ("https://xr.io/", "r.io"),
        ("https://r.io/", ".r.io"),
        ("https://r.io/", "r.io:5000"),
        ("https://r.io.com/", "r.io"),
        ("https://11.1.2.3/", "10.0.0.0/8"),
        ("https://[2001:db8::1]/", "10.0.0.0/8"),
        ("https://[2001:db8::1]/", "2001:db8::2"),
        ("https://r.io/", "10.0.0.0/99"),
    ],
)
def test_what_is_asked_through_a_proxy(url, no_proxy):
    """T13: everything else, also what only looks similar."""
    assert not address.goes_direct(address.origin(url), no_proxy)
