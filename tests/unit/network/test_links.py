"""Requests for interfaces and routes, and their answers."""

from __future__ import annotations

import socket
import struct

import pytest

from layerkit.network import links, netlink


@pytest.fixture(scope="module")
def lo():
    """The loopback interface, as the kernel tells it to everybody."""
    with netlink.Socket(links.PROTOCOL) as kernel:
        ((body,),) = kernel.ask(links.get_link("lo"))
    return links.parse_link(body)


def test_an_interface_is_read(lo):
    """The answer has number and MTU of the interface."""
    assert lo.number == socket.if_nametoindex("lo")
    assert lo.mtu >= 1500
    assert lo.has_ipv6 == (socket.AF_INET6 in socket_families())


def socket_families():
    """The families of addresses that the kernel has."""
    try:
        socket.socket(socket.AF_INET6).close()
    except OSError:
        return {socket.AF_INET}
    return {socket.AF_INET, socket.AF_INET6}


def test_an_interface_is_found_by_its_number(lo):
    """A number says as well as a name which interface is meant."""
    with netlink.Socket(links.PROTOCOL) as kernel:
        ((body,),) = kernel.ask(links.get_link(index=lo.number))

    assert links.parse_link(body).number == lo.number


def test_settings_are_counted_from_one():
    """The setting of number n is the n-th in the kernel's answer."""
    link = links.Link(1, 1500, is_up=True, inet=(10, 20, 30), has_ipv6=False)

    assert link.has({1: 10, 3: 30})
    assert not link.has({2: 10})


def test_a_pair_is_made_in_one_message():
    """The request for a pair has the namespace, name and address of its other end inside."""
    peer = links.peer("eth0", b"\x02\x6b\x0a\x63\x00\x05", 1400, 77)
    request = links.new_veth("lk0a630005", 9, 1400, peer)

    outer = netlink.attributes(request.body[16:])
    info = netlink.attributes(outer[18])
    inner = netlink.attributes(netlink.attributes(info[2])[1][16:])

    assert (outer[3], outer[10]) == (b"lk0a630005\0", struct.pack("=I", 9))
    assert info[1] == b"veth\0"
    assert (inner[3], inner[28]) == (b"eth0\0", struct.pack("=I", 77))
    assert inner[1] == b"\x02\x6b\x0a\x63\x00\x05"
    assert outer[4] == inner[4] == struct.pack("=I", 1400)


def test_a_route_is_read():
    """The answer about a way has the interface's number."""
    body = bytes(12) + netlink.number(15, 254) + netlink.number(4, 42)

    assert links.parse_route(body) == 42
