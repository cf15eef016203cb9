"""`-p` publishes what docker would publish."""

import pytest

from layerkit.cli.wishes.ports import publication, publications
from layerkit.errors import UsageError
from layerkit.ports import Publication


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("8080:80", [Publication(80, "tcp", 8080)]),
        ("80", [Publication(80)]),
        (":80", [Publication(80)]),
        ("0:80", [Publication(80)]),
        ("8080:80/udp", [Publication(80, "udp", 8080)]),
        ("8080:80/UDP", [Publication(80, "udp", 8080)]),
        ("80/sctp", [Publication(80, "sctp")]),
        ("80/", [Publication(80)]),
        ("127.0.0.1:8080:80", [Publication(80, "tcp", 8080, "127.0.0.1")]),
        ("127.0.0.1::80", [Publication(80, "tcp", None, "127.0.0.1")]),
        ("0.0.0.0:8080:80", [Publication(80, "tcp", 8080, "0.0.0.0")]),
        ("[::1]:8080:80", [Publication(80, "tcp", 8080, "::1")]),
        ("[0:0:0:0:0:0:0:1]::80", [Publication(80, "tcp", None, "::1")]),
        ("::1:8080:80", [Publication(80, "tcp", 8080, "::1")]),
        ("8000-8001:80-81", [Publication(80, "tcp", 8000), Publication(81, "tcp", 8001)]),
        ("80-81/udp", [Publication(80, "udp"), Publication(81, "udp")]),
        ("8000-8000:80", [Publication(80, "tcp", 8000)]),
        ("65535:65535", [Publication(65535, "tcp", 65535)]),
    ],
    ids=lambda each: f"RT-W09-{each}" if isinstance(each, str) else "",
)
def test_a_publication(text, wanted):
    """Each port of the container with its own of the host, None for any free one."""
    assert publication(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "8080:",
        "/udp",
        "http",
        "8080:80:tcp",
        "8080:80/icmp",
        "8080:80/tcp/udp",
        "8080/tcp:80",
        "-1:80",
        "+8080:80",
        "8080: 80",
        "65536:80",
        "8080:65536",
        "8080:0",
        "\u0661:80",
        "9" * 40,
        "90-80",
        "80-",
        "-80",
        "1-2-3",
        "8000-8010:80-81",
        "8000-8010:80",
        "8000:80-81",
        "localhost:8080:80",
        "127.0.0.256:8080:80",
        "127.1:8080:80",
        "010.0.0.1:8080:80",
        "[::1:8080:80",
        "[127.0.0.1:8080:80",
        "[]:8080:80",
        "fe80::1%eth0:8080:80",
        "published=8080,target=80",
    ],
)
def test_a_bad_publication(text):
    """Ports out of range, ranges of different length and names of hosts are refused in one line."""
    with pytest.raises(UsageError, match=r"^(invalid|unsupported) -p '"):
        publication(text)


def test_publications_are_put_together():
    """All ports of all options, in their order."""
    assert publications(["1-2", "3"]) == (Publication(1), Publication(2), Publication(3))
