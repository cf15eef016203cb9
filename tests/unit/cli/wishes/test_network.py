"""The options of the network are checked before anything is made."""

import pytest

from layerkit.cli.wishes import network
from layerkit.errors import UsageError
from layerkit.ops.wishes import Networking
from layerkit.ports import Publication

NOTHING = {
    "network": "bridge",
    "publish": (),
    "publish_all": False,
    "dns": (),
    "dns_search": (),
    "dns_option": (),
    "add_host": (),
    "hostname": None,
}


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("bridge", "bridge"),
        ("default", "bridge"),
        ("none", "none"),
        ("host", "host"),
        ("container:web", "container:web"),
    ],
)
def test_a_network(text, mode):
    """RT-W10: there is one bridge; the rest is docker's."""
    assert network.mode(text) == mode


@pytest.mark.parametrize(
    "text", ["", "mine", "Bridge", "container:", "container", "ns:/x", "host "]
)
def test_an_unknown_network(text):
    """A network of any other name does not exist."""
    with pytest.raises(UsageError, match=r"^network .* ?not found"):
        network.mode(text)


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("a:1.1.1.1", ("a", "1.1.1.1")),
        ("a=1.1.1.1", ("a", "1.1.1.1")),
        ("a:::1", ("a", "::1")),
        ("a=::1", ("a", "::1")),
        ("a:[::1]", ("a", "::1")),
        ("a.b-c:[1.2.3.4]", ("a.b-c", "1.2.3.4")),
        ("host.docker.internal:host-gateway", ("host.docker.internal", "10.99.0.1")),
        ("h=host-gateway", ("h", "10.99.0.1")),
    ],
    ids=lambda each: f"RT-W12-{each}" if isinstance(each, str) else "",
)
def test_a_host(text, pair):
    """A name and an address with : or = between them; the host itself has a word of its own."""
    assert network.host(text) == pair


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a:",
        ":1.1.1.1",
        "=1.1.1.1",
        "a:b",
        "a:1.1.1",
        "a:b=1.1.1.1",
        "a b:1.1.1.1",
        "a\n0.0.0.0 b:1.1.1.1",
        "a#:1.1.1.1",
        "a\t:1.1.1.1",
        "a:1.1.1.1 b",
        "a:[]",
        "a:host",
    ],
)
def test_a_bad_host(text):
    """A name that would be more than a word of /etc/hosts, or no address, is refused."""
    with pytest.raises(UsageError, match=r"^invalid --add-host '"):
        network.host(text)


@pytest.mark.parametrize("text", ["web1", "a.b.c", "x" * 64, "b\u00fcro"])
def test_a_hostname(text):
    """RT-N02: a host name is one word of at most 64 bytes."""
    assert network.hostname(text) == text


@pytest.mark.parametrize(
    "text", ["", "x" * 65, "\u00fc" * 33, "a/b", "a b", "a\nb", "a\0b", " a", "a\u00a0b", "\udcff"]
)
def test_a_bad_hostname(text):
    """What the kernel does not take or /etc/hosts would read as two words is refused."""
    with pytest.raises(UsageError, match=r"^invalid --hostname '"):
        network.hostname(text)


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("example.org", "example.org"),
        ("example.org.", "example.org"),
        (".", "."),
        (" a ", "a"),
        ("a-b.c1", "a-b.c1"),
    ],
)
def test_a_domain(text, domain):
    """A domain of letters, digits and hyphens; a point alone is none."""
    assert network.domain(text) == domain


@pytest.mark.parametrize(
    "text", ["", "..", "a..b", "-a", "a-", "a b", "a\nb", "a_b", "1.2.3.4", "x." * 128 + "y"]
)
def test_a_bad_domain(text):
    """What resolv.conf could misunderstand is refused."""
    with pytest.raises(UsageError, match=r"^invalid --dns-search '"):
        network.domain(text)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({}, Networking()),
        ({"publish": ("8080:80",), "publish_all": True},
         Networking(publications=(Publication(80, "tcp", 8080),), publish_all=True)),
        ({"dns": (" 1.2.3.4 ", "0::1"), "dns_search": ("a",), "dns_option": ("ndots:2",)},
         Networking(dns=("1.2.3.4", "::1"), dns_search=("a",), dns_options=("ndots:2",))),
        ({"network": "host", "hostname": "h", "add_host": ("a:1.1.1.1",)},
         Networking("host", hosts=(("a", "1.1.1.1"),))),
        ({"network": "container:c"}, Networking("container:c")),
    ],
    ids=str,
)  # fmt: skip
def test_a_network_is_put_together(values, wanted):
    """Each option has its place."""
    assert network.networking(NOTHING | values) == wanted


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"dns": ("dns.example",)}, "invalid --dns 'dns.example'"),
        ({"dns": ("[::1]",)}, "invalid --dns"),
        ({"dns_option": ("a b",)}, "invalid --dns-option"),
        ({"network": "container:c", "hostname": "h"}, "conflicting options: --hostname and"),
        ({"network": "container:c", "publish": ("80",)}, "conflicting options: --publish and"),
        ({"network": "container:c", "publish_all": True}, "conflicting options: --publish and"),
        ({"network": "container:c", "dns": ("1.1.1.1",)}, "conflicting options: --dns and"),
        ({"network": "container:c", "dns_search": ("a",)}, "conflicting options: --dns and"),
        ({"network": "container:c", "add_host": ("a:::1",)}, "conflicting options: --add-host and"),
    ],
    ids=str,
)
def test_a_network_that_makes_no_sense(values, reason):
    """Bad addresses are refused, and names of one's own in the network of another container."""
    with pytest.raises(UsageError) as caught:
        network.networking(NOTHING | values)

    assert caught.value.message.startswith(reason)
