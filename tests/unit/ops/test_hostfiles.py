"""A container's own hosts, hostname and resolv.conf."""

from __future__ import annotations

import pytest

from layerkit.ops import hostfiles
from layerkit.ops.wishes import Networking

HOST = """\
# made by hand
nameserver 192.0.2.1
search example.org
options ndots:2
"""


@pytest.fixture(autouse=True)
def host(monkeypatch):
    """The files of a host, to be changed by a test."""
    files = {"/etc/resolv.conf": HOST, "/etc/hosts": "192.0.2.9\thost\n"}
    monkeypatch.setattr(hostfiles, "_read", lambda path: files.get(str(path), ""))
    return files


def resolv_conf(**networking):
    """The resolv.conf of a container with these wishes."""
    return hostfiles.texts("box", Networking(**networking))["resolv.conf"]


def test_a_host_name_is_a_line():
    """hostname(5)."""
    assert hostfiles.texts("box", Networking())["hostname"] == "box\n"


@pytest.mark.parametrize("mode", ["bridge", "none", "host"])
def test_the_hosts_name_servers_are_used(mode):
    """What the host has is taken as it is."""
    assert resolv_conf(mode=mode) == HOST


@pytest.mark.parametrize(
    ("wishes", "changed"),
    [
        pytest.param(
            {"dns": ("1.2.3.4", "5.6.7.8")},
            "# made by hand\nsearch example.org\noptions ndots:2\n"
            "nameserver 1.2.3.4\nnameserver 5.6.7.8\n",
            id="RT-W12-dns",
        ),
        pytest.param(
            {"dns_search": ("a.test", "b.test")},
            "# made by hand\nnameserver 192.0.2.1\noptions ndots:2\nsearch a.test b.test\n",
            id="search",
        ),
        pytest.param(
            {"dns_search": (".",)},
            "# made by hand\nnameserver 192.0.2.1\noptions ndots:2\n",
            id="no search",
        ),
        pytest.param(
            {"dns_options": ("rotate", "timeout:1")},
            "# made by hand\nnameserver 192.0.2.1\nsearch example.org\noptions rotate timeout:1\n",
            id="options",
        ),
    ],
)
def test_a_wish_replaces_the_hosts_lines(wishes, changed):
    """Of a kind that was wished for, none of the host's stays; other kinds do."""
    assert resolv_conf(**wishes) == changed


def test_a_domain_goes_with_the_search(host):
    """resolv.conf(5): they exclude each other."""
    host["/etc/resolv.conf"] = "domain example.org\nnameserver 192.0.2.1\n"

    assert resolv_conf(dns_search=("a.test",)) == "nameserver 192.0.2.1\nsearch a.test\n"


@pytest.mark.parametrize(
    ("mode", "text", "resolved", "wanted"),
    [
        pytest.param("bridge", "nameserver 127.0.0.53\n", "", hostfiles._PUBLIC, id="RT-W12-none"),
        pytest.param(
            "bridge",
            "nameserver 127.0.0.53\n",
            "nameserver 192.0.2.5\n",
            ("192.0.2.5",),
            id="RT-W12-resolved",
        ),
        pytest.param(
            "bridge", "nameserver ::1\nnameserver 192.0.2.1\n", "", ("192.0.2.1",), id="some"
        ),
        pytest.param("bridge", "", "", hostfiles._PUBLIC, id="empty"),
        pytest.param("none", "nameserver 127.0.0.53\n", "", (), id="without a network"),
        pytest.param("host", "nameserver 127.0.0.53\n", "", ("127.0.0.53",), id="the host's"),
    ],
)
def test_loopback_is_another_one_inside(host, mode, text, resolved, wanted):
    """A server that only the host reaches is left out; who had nothing else gets public ones."""
    host["/etc/resolv.conf"] = text
    host["/run/systemd/resolve/resolv.conf"] = resolved

    lines = resolv_conf(mode=mode).splitlines()

    assert lines == [f"nameserver {address}" for address in wanted]


@pytest.mark.parametrize("line", ["nameserver", "nameserver x", "# nameserver 127.0.0.1", ""])
def test_strange_lines_stay(line):
    """What is no name server's address is not ours to judge."""
    assert hostfiles.without_loopback(f"{line}\n") == f"{line}\n"


def test_hosts_have_what_was_wished_for():
    """RT-W12: --add-host, and what is known of the network, are lines behind the usual ones."""
    networking = Networking(hosts=(("a", "192.0.2.3"), ("b", "::2")))

    text = hostfiles.hosts(networking, [("10.0.0.2", "box box.test")])

    assert text.startswith("127.0.0.1\tlocalhost\n")
    assert text.endswith("192.0.2.3\ta\n::2\tb\n10.0.0.2\tbox box.test\n")


def test_hosts_of_the_hosts_network():
    """With the host's network, the host's own file is what names mean there."""
    text = hostfiles.hosts(Networking("host", hosts=(("a", "192.0.2.3"),)), ())

    assert text == "192.0.2.9\thost\n192.0.2.3\ta\n"
