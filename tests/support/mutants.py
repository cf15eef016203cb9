"""Good archives with something done to them, for hypothesis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from support import layer_cases, tars
from support.tar_cases import RICH
from support.tars import V7, archive, file, header, padded

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

SEEDS = [
    RICH,
    *(layer for name in ("SL-10", "HL-16", "WH-18", "MD-10", "XA-09") for layer in next(
        case.layers for case in layer_cases.CASES if case.name == name
    )),
    archive(file("f", prefix=b"p", mtime=2**34), header("d/", b"\0", magic=V7)),
    archive(
        file(
            "sp",
            padded(b"2\n0\n1\n5\n2\n") + b"ABC",
            pax={
                "GNU.sparse.major": "1",
                "GNU.sparse.minor": "0",
                "GNU.sparse.name": "real",
                "GNU.sparse.realsize": "10",
                "SCHILY.xattr.user.overlay.x": "y",
            },
        )
    ),
    archive(
        file(
            "sp",
            b"ABC",
            pax={
                "GNU.sparse.size": "10",
                "GNU.sparse.numblocks": "2",
                "GNU.sparse.map": "0,1,5,2",
                "path": "p",
                "uid": "7",
                "size": "3",
            },
        )
    ),
]  # fmt: skip
FIELDS = ((0, 100), (100, 8), (108, 8), (116, 8), (124, 12), (136, 12), (156, 1), (157, 100),
          (257, 8), (329, 8), (337, 8), (345, 155), (386, 24), (482, 13), (508, 4))  # fmt: skip
NASTY = [
    bytes(12), b" " * 12, b"\xff" * 12, b"\x80" + b"\xff" * 11, b"777777777777", b"7" * 7 + b"\0",
    b"-0000000001\0", b"\x80\0\0\0\x7f" + b"\xff" * 7, b"\x80\0\0\0\x40" + bytes(7), b"0", b"1",
    b"2", b"5", b"L", b"K", b"x", b"g", b"S", b"X", b".wh.", b".wh..wh..opq", b"../", b"/", b".",
]  # fmt: skip
PLACES = st.integers(0, 1 << 20)
EDITS = st.one_of(
    st.tuples(st.just("field"), PLACES, st.sampled_from(FIELDS), st.sampled_from(NASTY)),
    st.tuples(st.just("put"), PLACES, st.binary(min_size=1, max_size=4)),
    st.tuples(st.just("flip"), PLACES, st.integers(0, 7)),
    st.tuples(st.just("cut"), PLACES),
    st.tuples(st.just("replace"), PLACES, PLACES),
    st.tuples(st.just("remove"), PLACES),
    st.tuples(st.just("insert"), PLACES, st.sampled_from(SEEDS), PLACES),
    st.tuples(st.just("zeros"), PLACES),
    st.tuples(st.just("swap"), PLACES, PLACES),
)


@st.composite
def _mutants(draw: DrawFn) -> bytes:
    tar = draw(st.sampled_from(SEEDS))
    for edit in draw(st.lists(EDITS, min_size=1, max_size=5)):
        tar = edited(tar, edit)
    return with_checksums(tar) if draw(st.booleans()) else tar


MUTANTS = _mutants()
"""Archives of `SEEDS` after some edits, half of them with right checksums."""


def edited(tar: bytes, edit: tuple[Any, ...]) -> bytes:
    """The archive after one edit; most keep to blocks, so that the rest stays readable."""
    what, place, *values = edit
    if what == "swap":
        return _swapped(tar, place, *values)
    at = place % (len(tar) + 1)
    block = at // 512 * 512
    new, old = {
        "field": lambda field, value: (value[: field[1]], len(value[: field[1]])),
        "put": lambda data: (data, len(data)),
        "flip": lambda bit: (bytes(byte ^ 1 << bit for byte in tar[at : at + 1]), 1),
        "cut": lambda: (b"", len(tar)),
        "remove": lambda: (b"", 512),
        "insert": lambda donor, other: (_block(donor, other), 0),
        "replace": lambda other: (_block(tar, other), 512),
        "zeros": lambda: (bytes(512), 0),
    }[what](*values)
    start = at if what in {"put", "flip", "cut"} else block
    if what == "field":
        start += values[0][0]
    return tar[:start] + new + tar[start + old :]


def _swapped(tar: bytes, one: int, other: int) -> bytes:
    blocks = [tar[at : at + 512] for at in range(0, len(tar), 512)]
    if blocks:
        first, second = one % len(blocks), other % len(blocks)
        blocks[first], blocks[second] = blocks[second], blocks[first]
    return b"".join(blocks)


def _block(tar: bytes, place: int) -> bytes:
    at = place % (len(tar) + 1) // 512 * 512
    return tar[at : at + 512]


def with_checksums(tar: bytes) -> bytes:
    """The archive with a right checksum in every block that looks like a header.

    Without it nearly every mutant ends at its first checksum, and nothing behind is tried.
    """
    blocks = [tar[at : at + 512] for at in range(0, len(tar), 512)]
    return b"".join(
        block[:148] + tars.checksum(block) + block[156:]
        if len(block) == 512 and block[154:156] == b"\0 "
        else block
        for block in blocks
    )
