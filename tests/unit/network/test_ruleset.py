"""The table of layerkit, as values."""

from __future__ import annotations

import hashlib

import pytest

from layerkit.network import nftables, ruleset

DIGEST = "12d97c5bec08b9694d86d97a7923d0857a566e1409fb98a866923a192dda5df8"
"""Of all rules. Where it changes, `ruleset.MARK` counts up, or hosts keep the rules of before."""


def test_rules_change_with_their_mark():
    """No rule changes without the mark by which a table of before is known."""
    content = hashlib.sha256()
    for name, (base, rules) in ruleset.chains().items():
        content.update(name.encode() + base + b"".join(b"".join(rule) for rule in rules))

    assert content.hexdigest() == DIGEST


def test_the_number_of_rules():
    """What a table is checked by is what it is made of."""
    made = {name: len(rules) for name, (_base, rules) in ruleset.chains().items()}

    assert made == ruleset.CHAINS


@pytest.mark.parametrize(
    ("ip", "wanted"),
    [
        (b"", (ruleset.PORTS, "06000000 1f900000")),
        (b"\x7f\0\0\1", (ruleset.ADDRESSED_PORTS, "7f000001 06000000 1f900000")),
    ],
    ids=["any-address", "one-address"],
)
def test_an_element(ip, wanted):
    """A published port is protocol and port, after the address if it is of one, four bytes each."""
    element = ruleset.element("tcp", (ip, 8080), (b"\x0a\x63\x00\x05", 80))

    assert (element.name, element.key.hex(" ", -4)) == wanted
    assert element.data.hex(" ", -4) == "0a630005 00500000"


def test_elements_are_read():
    """The elements in an answer are those that were sent."""
    sent = nftables.new_element("t", "m", b"12345678", b"abcdefgh")

    assert list(nftables.parse_elements(sent.body)) == [(b"12345678", b"abcdefgh")]


def test_a_chain_is_read():
    """The answer about a chain has its comment; a chain outside of a hook drops nothing."""
    inside = nftables.new_chain("t", "c", nftables.base("nat", nftables.OUTPUT, -100, "mine"))
    outside = nftables.new_chain("t", "c")

    assert nftables.parse_chain(inside.body) == (0, nftables.ACCEPT, b"\0\5mine\0")
    assert nftables.parse_chain(outside.body) == (0, nftables.ACCEPT, b"")


def test_a_transaction_has_its_generation():
    """A batch begins and ends with messages of its own, the first with what it relies on."""
    begin, rule, end = nftables.batch([nftables.flush_chain("t", "c")], 258)

    assert (begin.kind, end.kind) == (16, 17)
    assert begin.body == bytes.fromhex("0000000a 08000100 00000102")
    assert rule.kind == 0xA08
