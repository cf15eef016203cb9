"""The names of the tests lead where they say, and no question leaves the machine."""

import socket

import pytest
from support.names import resolving
from support.registry import TestRegistry


def test_a_name_leads_to_loopback():
    """Connecting to a public name reaches the registry here; the question is kept."""
    with TestRegistry() as registry, resolving({"public.example": ["127.0.0.1"]}) as asked:
        port = int(registry.host.split(":")[1])
        with socket.create_connection(("public.example", port), timeout=30) as connection:
            assert connection.getpeername()[0] == "127.0.0.1"
        socket.create_connection(("127.0.0.1", port), timeout=30).close()

    assert asked == ["public.example"]


def test_a_name_may_have_two_addresses():
    """They come in the order given, of both families."""
    with resolving({"dual.example": ["::1", "127.0.0.1"]}):
        found = socket.getaddrinfo("dual.example", 80, 0, socket.SOCK_STREAM)

    assert [each[4][0] for each in found] == ["::1", "127.0.0.1"]


def test_a_name_may_be_unknown_or_fail_for_a_while():
    """The two failures have the resolver's own codes."""
    with resolving({"a.example": ["127.0.0.1"]}, failures=1) as asked:
        with pytest.raises(socket.gaierror) as first:
            socket.getaddrinfo("a.example", 80)
        assert socket.getaddrinfo("a.example", 80)
        with pytest.raises(socket.gaierror) as other:
            socket.getaddrinfo("b.example", 80)

    assert (first.value.errno, other.value.errno) == (socket.EAI_AGAIN, socket.EAI_NONAME)
    assert asked == ["a.example", "a.example", "b.example"]
