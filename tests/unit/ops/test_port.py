"""What of a container's published ports somebody asks for."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from layerkit.errors import NotFoundError, UsageError
from layerkit.ops import port, states
from layerkit.ports import Publication

PORTS = (
    Publication(443, "tcp", 8443, "127.0.0.1"),
    Publication(53, "udp", 5353),
    Publication(53, "tcp", 5354),
    Publication(80),
)
CONTAINER = SimpleNamespace(name="c")


@pytest.fixture
def state(monkeypatch):
    """Says in which state the container is."""

    def be(status):
        found = states.ContainerState(status, states.Run(0.0, ports=PORTS))
        monkeypatch.setattr(states, "read", lambda _home, _container: found)

    be("running")
    return be


def test_all_in_order(state):
    """By number, then protocol; what has no port of the host is not published."""
    found = port.published(None, CONTAINER)

    assert [each.host_port for each in found] == [5354, 5353, 8443]


@pytest.mark.parametrize(
    ("text", "ports"), [("443", [8443]), ("53", [5354]), ("53/UDP", [5353]), ("053/tcp", [5354])]
)
def test_one(state, text, ports):
    """A number alone means TCP."""
    assert [each.host_port for each in port.published(None, CONTAINER, text)] == ports


@pytest.mark.parametrize("text", ["80", "443/udp", "1"])
def test_one_that_is_not_published(state, text):
    """It is named, with its protocol."""
    with pytest.raises(NotFoundError, match=r"no public port '\d+/\w+' published for c"):
        port.published(None, CONTAINER, text)


@pytest.mark.parametrize(
    "text", ["", "x", "0", "65536", "1" * 50, "-1", "²", "80/x", "80/", "/tcp"]
)
def test_what_is_no_port(state, text):
    """Only a number that a port can have, and a protocol, is asked for."""
    with pytest.raises(UsageError, match="invalid port"):
        port.published(None, CONTAINER, text)


def test_a_container_that_ended(state):
    """It publishes nothing any more."""
    state("exited")

    assert port.published(None, CONTAINER) == []
