"""The addresses of the bridge."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from layerkit.network import addresses

CHANCES = st.integers(0, 2**32 - 1)


@given(CHANCES)
def test_a_candidate_is_an_address_of_a_container(chance):
    """No chance leads to the network itself, the gateway, the broadcast address, or elsewhere."""
    candidate = addresses.candidate(chance)

    assert addresses.NETWORK + 1 < candidate < addresses.NETWORK + 0xFFFF


def test_every_address_can_be_had():
    """All addresses between the gateway and the broadcast address are candidates."""
    found = {addresses.candidate(chance) for chance in range(65533)}

    assert (len(found), min(found)) == (65533, addresses.GATEWAY + 1)


@given(CHANCES)
def test_a_name_fits_an_interface(chance):
    """The name of an interface has at most 15 bytes, and the address in it."""
    candidate = addresses.candidate(chance)
    name = addresses.interface(candidate)

    assert len(name) <= 15
    assert int(name.removeprefix("lk"), 16) == candidate


def test_the_ways_to_write_an_address():
    """Number, bytes, text and hardware address of one address belong together."""
    address = addresses.number("10.99.1.2")

    assert addresses.packed(address) == b"\x0a\x63\x01\x02"
    assert addresses.dotted(address) == "10.99.1.2"
    assert addresses.mac(address).hex(":") == "02:6b:0a:63:01:02"
    assert addresses.interface(address) == "lk0a630102"
