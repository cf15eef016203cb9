"""Requests of nf_tables for IPv4: chains, rules of expressions, maps and their elements.

The names are those of linux/netfilter/nf_tables.h without their prefixes. Numbers of attributes
are big-endian there; what expressions compare is in the byte order of the packet or, from `meta`,
`ct` and `fib`, of the machine.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from layerkit.network.netlink import (
    APPEND,
    CREATE,
    DUMP,
    Request,
    attribute,
    attributes,
    big,
    each,
    nested,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROTOCOL = 12  # NETLINK_NETFILTER

PREROUTING, FORWARD, OUTPUT, POSTROUTING = 0, 2, 3, 4
DROP, ACCEPT = 0, 1
EQ, NEQ = 0, 1
IIFNAME, OIFNAME, L4PROTO = 6, 7, 16
STATE, STATUS = 0, 2
NETWORK_HEADER, TRANSPORT_HEADER = 1, 2
REGISTERS = (1, 9, 10)
"""Four bytes each, one behind the other."""

_SUBSYSTEM = 10 << 8
_BATCH_BEGIN, _BATCH_END = 16, 17
_BATCH_GENERATION = 1
_NEWTABLE, _NEWCHAIN, _GETCHAIN, _DELCHAIN, _NEWRULE, _GETRULE, _DELRULE = 0, 3, 4, 5, 6, 7, 8
_NEWSET, _NEWSETELEM, _GETSETELEM, _DELSETELEM, _GETGEN = 9, 12, 13, 14, 16
_GENERATION = 1

_TABLE = 1  # the table's name, of a chain, a rule and a set
_CHAIN_NAME, _CHAIN_HOOK, _CHAIN_POLICY, _CHAIN_USE, _CHAIN_TYPE, _CHAIN_USERDATA = (
    3,
    4,
    5,
    6,
    7,
    12,
)
_HOOK_NUMBER, _HOOK_PRIORITY = 1, 2
_RULE_CHAIN, _RULE_EXPRESSIONS, _RULE_USERDATA = 2, 4, 7
_SET_NAME, _SET_FLAGS, _SET_KEY_TYPE, _SET_KEY_LEN, _SET_DATA_TYPE, _SET_DATA_LEN, _SET_ID = 2, 3, 4, 5, 6, 7, 10  # fmt: skip
_SET_IS_MAP = 0x8
_ELEMENTS_SET, _ELEMENTS = 2, 3
_ELEMENT_KEY, _ELEMENT_DATA = 1, 2
_ITEM = 1  # NFTA_LIST_ELEM
_VALUE, _VERDICT, _VERDICT_CODE = 1, 2, 1

_INET = struct.pack("=BBH", 2, 0, 0)
"""NFPROTO_IPV4."""


def _request(kind: int, flags: int, what: str, *parts: bytes) -> Request:
    return Request(_SUBSYSTEM | kind, flags, _INET + b"".join(parts), what)


def batch(requests: Sequence[Request], generation: int | None = None) -> list[Request]:
    """The requests as one transaction: the kernel does all of them or none.

    With a generation, ERESTART where another transaction came after it.
    """
    header = struct.pack(">BBH", 0, 0, 10)
    known = b"" if generation is None else big(_BATCH_GENERATION, generation)
    begin = Request(_BATCH_BEGIN, 0, header + known, "begin a transaction")
    return [begin, *requests, Request(_BATCH_END, 0, header, "commit")]


def get_generation() -> Request:
    """Ask for the number of the last transaction."""
    return _request(_GETGEN, 0, "find the generation of nftables")


def parse_generation(body: bytes) -> int:
    """The number in an answer to `get_generation`."""
    return _number(attributes(body[4:])[_GENERATION])


def new_table(table: str) -> Request:
    """Make a table where there is none of that name."""
    return _request(_NEWTABLE, CREATE, f"make nftables table {table}", text(1, table))


def new_chain(table: str, chain: str, base: bytes = b"") -> Request:
    """Make a chain where there is none of that name, in a hook where `base` says so."""
    what = f"make nftables chain {table}/{chain}"
    return _request(_NEWCHAIN, CREATE, what, text(_TABLE, table), text(_CHAIN_NAME, chain), base)


def base(kind: str, hook: int, priority: int, comment: str) -> bytes:
    """What makes a chain see packets: its type (nat or filter), and when; it accepts by default."""
    where = nested(_CHAIN_HOOK, big(_HOOK_NUMBER, hook), big(_HOOK_PRIORITY, priority))
    return (
        where
        + big(_CHAIN_POLICY, ACCEPT)
        + text(_CHAIN_TYPE, kind)
        + attribute(_CHAIN_USERDATA, commented(comment))
    )


def get_chain(table: str, chain: str) -> Request:
    """Ask for a chain."""
    what = f"find nftables chain {table}/{chain}"
    return _request(_GETCHAIN, 0, what, text(_TABLE, table), text(_CHAIN_NAME, chain))


def parse_chain(body: bytes) -> tuple[int, int, bytes]:
    """How many rules a chain has, its policy, and its comment as `commented` writes it."""
    said = attributes(body[4:])
    rules, policy = (_number(said.get(kind, bytes(4))) for kind in (_CHAIN_USE, _CHAIN_POLICY))
    return rules, policy if _CHAIN_POLICY in said else ACCEPT, said.get(_CHAIN_USERDATA, b"")


def delete_chain(table: str, chain: str) -> Request:
    """Delete a chain without rules."""
    what = f"delete nftables chain {table}/{chain}"
    return _request(_DELCHAIN, 0, what, text(_TABLE, table), text(_CHAIN_NAME, chain))


def flush_chain(table: str, chain: str) -> Request:
    """Delete the rules of a chain."""
    what = f"empty nftables chain {table}/{chain}"
    return _request(_DELRULE, 0, what, text(_TABLE, table), text(_RULE_CHAIN, chain))


def new_rule(
    table: str, chain: str, expressions: Sequence[bytes], comment: str = "", *, first: bool = False
) -> Request:
    """Add a rule at the end of a chain, or at its beginning."""
    return _request(
        _NEWRULE,
        CREATE if first else CREATE | APPEND,
        f"add a rule to nftables chain {table}/{chain}",
        text(_TABLE, table),
        text(_RULE_CHAIN, chain),
        nested(_RULE_EXPRESSIONS, *expressions),
        attribute(_RULE_USERDATA, commented(comment)) if comment else b"",
    )


def get_rules(table: str, chain: str) -> Request:
    """Ask for all rules of a chain."""
    what = f"list nftables chain {table}/{chain}"
    return _request(_GETRULE, DUMP, what, text(_TABLE, table), text(_RULE_CHAIN, chain))


def parse_rule(body: bytes) -> bytes:
    """The comment of a rule as `commented` writes it."""
    return attributes(body[4:]).get(_RULE_USERDATA, b"")


def commented(comment: str) -> bytes:
    """User data that `nft list` shows as a comment."""
    value = comment.encode() + b"\0"
    return bytes([0, len(value)]) + value


def new_map(table: str, name: str, types: tuple[int, int], sizes: tuple[int, int]) -> Request:
    """Make a map where there is none: types (as nft(8) has them) and bytes of key and data."""
    return _request(
        _NEWSET,
        CREATE,
        f"make nftables map {table}/{name}",
        text(_TABLE, table),
        text(_SET_NAME, name),
        big(_SET_FLAGS, _SET_IS_MAP),
        big(_SET_KEY_TYPE, types[0]),
        big(_SET_KEY_LEN, sizes[0]),
        big(_SET_DATA_TYPE, types[1]),
        big(_SET_DATA_LEN, sizes[1]),
        big(_SET_ID, 1),
    )


def new_element(table: str, name: str, key: bytes, data: bytes) -> Request:
    """Add an element to a map; EEXIST where its key has other data."""
    what = f"add to nftables map {table}/{name}"
    content = nested(_ELEMENT_KEY, attribute(_VALUE, key))
    content += nested(_ELEMENT_DATA, attribute(_VALUE, data))
    return _elements(_NEWSETELEM, CREATE, what, table, name, content)


def delete_element(table: str, name: str, key: bytes) -> Request:
    """Take an element out of a map."""
    what = f"take from nftables map {table}/{name}"
    return _elements(
        _DELSETELEM, 0, what, table, name, nested(_ELEMENT_KEY, attribute(_VALUE, key))
    )


def _elements(kind: int, flags: int, what: str, table: str, name: str, content: bytes) -> Request:
    listed = nested(_ELEMENTS, nested(_ITEM, content))
    return _request(kind, flags, what, text(_TABLE, table), text(_ELEMENTS_SET, name), listed)


def get_elements(table: str, name: str) -> Request:
    """Ask for all elements of a map."""
    what = f"list nftables map {table}/{name}"
    return _request(_GETSETELEM, DUMP, what, text(_TABLE, table), text(_ELEMENTS_SET, name))


def parse_elements(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Key and data of each element in an answer to `get_elements`."""
    for _kind, content in each(attributes(body[4:]).get(_ELEMENTS, b"")):
        said = attributes(content)
        yield attributes(said[_ELEMENT_KEY])[_VALUE], attributes(said[_ELEMENT_DATA])[_VALUE]


def expression(name: str, *parts: bytes) -> bytes:
    """One step of a rule."""
    return nested(_ITEM, text(1, name), nested(2, *parts))


def meta(key: int, register: int = REGISTERS[0]) -> bytes:
    """Load what the kernel knows about a packet."""
    return expression("meta", big(2, key), big(1, register))


def connection(key: int) -> bytes:
    """Load what connection tracking knows about a packet."""
    return expression("ct", big(2, key), big(1, REGISTERS[0]))


def payload(header: int, offset: int, length: int, register: int = REGISTERS[0]) -> bytes:
    """Load bytes of a packet."""
    return expression("payload", big(1, register), big(2, header), big(3, offset), big(4, length))


def compare(value: bytes, operation: int = EQ) -> bytes:
    """Go on where the register is, or is not, this."""
    data = nested(3, attribute(_VALUE, value))
    return expression("cmp", big(1, REGISTERS[0]), big(2, operation), data)


def any_of(bits: int) -> bytes:
    """Go on where the register has one of these bits."""
    mask = nested(4, attribute(_VALUE, struct.pack("=I", bits)))
    xor = nested(5, attribute(_VALUE, bytes(4)))
    register = big(1, REGISTERS[0]) + big(2, REGISTERS[0])
    return expression("bitwise", register, big(3, 4), mask, xor) + compare(bytes(4), NEQ)


def to_local_address() -> bytes:
    """Go on where the destination is an address of this host (`fib daddr type local`)."""
    load = expression("fib", big(1, REGISTERS[0]), big(2, 3), big(3, 1 << 1))
    return load + compare(struct.pack("=I", 2))


def translate_by(name: str) -> bytes:
    """Send the packet to the address and port that the map has for the registers."""
    look = expression("lookup", text(1, name), big(2, REGISTERS[0]), big(3, REGISTERS[0]))
    to = big(3, REGISTERS[0]) + big(5, REGISTERS[1])
    return look + expression("nat", big(1, 1), big(2, 2), to)


def masquerade() -> bytes:
    """Give the packet this host's address as its source."""
    return expression("masq")


def verdict(code: int) -> bytes:
    """End with ACCEPT or DROP."""
    data = nested(2, nested(_VERDICT, big(_VERDICT_CODE, code)))
    return expression("immediate", big(1, 0), data)


def counter() -> bytes:
    """Count the packets that come here."""
    return expression("counter")


def _number(data: bytes) -> int:
    value: int = struct.unpack(">I", data)[0]
    return value
