"""Archives in every dialect of tar, entry by entry, and what must be read of them.

The names are those of the rules they stand for (see `support.cases`).
"""

from __future__ import annotations

from layerkit.tree import Entry, Kind
from support.tars import (
    GNU,
    MTIME,
    V7,
    archive,
    block,
    character,
    directory,
    fifo,
    file,
    gnu_long_link,
    gnu_long_name,
    gnu_sparse,
    hardlink,
    header,
    opaque,
    padded,
    pax,
    symlink,
    whiteout,
)

N300 = "n" * 150 + "/" + "m" * 149
Z = file("z", "next")
"""Stands behind what is tested, to see that the reader goes on at the right place."""
Z_READ = (Entry(b"z", Kind.FILE, seconds=MTIME, size=4), b"next")


def made(path: bytes, data: bytes = b"x", kind: Kind = Kind.FILE, **fields: object):
    """The entry wanted, without the place of its content, and the content."""
    if kind is not Kind.FILE:
        data = b""
    fields.setdefault("mode", {Kind.DIRECTORY: 0o755, Kind.SYMLINK: 0o777}.get(kind, 0o644))
    fields.setdefault("seconds", MTIME)
    return Entry(path, kind, size=len(data), **fields), data


def x_header(body: bytes, kind: bytes = b"x") -> bytes:
    """An extended header with this very body."""
    return header("PaxHeaders/x", kind, size=len(body)) + padded(body)


READ = {
    "TF-01": (
        [gnu_long_name(N300), file("trunc", "1", magic=GNU)],
        [made(N300.encode(), b"1")],
    ),
    "TF-01 long link": (
        [gnu_long_link(N300), symlink("s", "trunc", magic=GNU)],
        [made(b"s", kind=Kind.SYMLINK, link=N300.encode())],
    ),
    "TF-01 without NUL": (
        [header("././@LongLink", b"L", size=3, magic=GNU) + padded(b"abc"), file("t")],
        [made(b"abc")],
    ),
    "TF-05 PAX first": (
        [pax({"path": "by-pax"}), gnu_long_name("by-gnu"), file("t")],
        [made(b"by-gnu")],
    ),
    "TF-05 GNU first": (
        [gnu_long_name("by-gnu"), pax({"path": "by-pax"}), file("t")],
        [made(b"by-gnu")],
    ),
    "TF-05 link": (
        [pax({"linkpath": "by-pax"}), gnu_long_link("by-gnu"), symlink("s", "t")],
        [made(b"s", kind=Kind.SYMLINK, link=b"by-gnu")],
    ),
    "TF-06 PY-04": (
        [gnu_long_name("first"), gnu_long_name("second"), file("t")],
        [made(b"second")],
    ),
    "TF-07": ([file("short", pax={"path": N300})], [made(N300.encode())]),
    "TF-07 link": (
        [symlink("s", "short", pax={"linkpath": N300})],
        [made(b"s", kind=Kind.SYMLINK, link=N300.encode())],
    ),
    "TF-07 over a prefix": ([file("f", prefix=b"pre", pax={"path": "p"})], [made(b"p")]),
    "TF-10": ([x_header(b"9 path=a\n9 path=b\n"), file("t")], [made(b"b")]),
    "TF-11 PY-05": ([file("t", pax={"path": ""})], [made(b"t")]),
    "TF-11 link": (
        [symlink("s", "t", pax={"linkpath": ""})],
        [made(b"s", kind=Kind.SYMLINK, link=b"t")],
    ),
    "TF-12 PY-04": ([pax({"uid": "7"}), pax({"gid": "8"}), file("t")], [made(b"t", gid=8)]),
    "TF-14 numbers": (
        [
            file(
                "t",
                "1234",
                size=0,
                pax={"uid": "3000000", "gid": "9", "size": "4", "mtime": "5.25"},
            )
        ],
        [made(b"t", b"1234", uid=3_000_000, gid=9, seconds=5, nanos=250_000_000)],
    ),
    "TF-17": ([file("t", "12345", size=b"\x80" + bytes(10) + b"\x05")], [made(b"t", b"12345")]),
    "TF-18": ([file("t", mode=b"\x81\0\0\0\0\0\x01\xa4")], [made(b"t", mode=0o644)]),
    "TF-20": ([file("f", prefix=b"pre/fix")], [made(b"pre/fix/f")]),
    "TF-22": ([header("f", b"\0", magic=V7, size=1) + padded(b"x")], [made(b"f")]),
    "TF-23": (
        [header("d/", b"\0", magic=V7, mode=0o755)],
        [made(b"d", kind=Kind.DIRECTORY)],
    ),
    "TF-23 long name": (
        [gnu_long_name("long/"), header("short", b"\0", magic=V7, mode=0o755)],
        [made(b"long", kind=Kind.DIRECTORY)],
    ),
    "TF-38": (
        [file("t", pax={"VENDOR.foo": "x", "comment": "y", "hdrcharset": "BINARY"})],
        [made(b"t")],
    ),
    "TF-40": ([x_header(b"9 path=a\n", b"X"), file("t")], [made(b"a")]),
    "NM-13": ([file("x/", "data")], [made(b"x", b"data")]),
    "DV-07": ([header("c", b"7", size=2) + padded(b"xy")], [made(b"c", b"xy")]),
    "DV-08 DV-09": ([pax({"comment": "git"}, everywhere=True), file("a")], [made(b"a")]),
    "DV-10 PY-10": ([pax({"path": "zzz", "uid": "7"}, everywhere=True), file("a")], [made(b"a")]),
    "DV-10 between": (
        [pax({"path": "p"}), pax({"path": "zzz"}, everywhere=True), file("a")],
        [made(b"p")],
    ),
    "DV device": (
        [character("c", 4095, 1048575)],
        [made(b"c", kind=Kind.CHARACTER, device=(4095, 1048575))],
    ),
    "DV block device": (
        [block("b", 8, 1, mode=0o660, gid=6)],
        [made(b"b", kind=Kind.BLOCK, device=(8, 1), mode=0o660, gid=6)],
    ),
    "DV block device 0:0": ([block("b", 0, 0)], [made(b"b", kind=Kind.BLOCK)]),
    "DV GNU device": (
        [character("c", 1, 3, magic=GNU)],
        [made(b"c", kind=Kind.CHARACTER, device=(1, 3))],
    ),
    "DV fifo": ([fifo("p")], [made(b"p", kind=Kind.FIFO)]),
    "MD-13": ([file("f", mode=0o100644)], [made(b"f")]),
    "MD-15 the largest owner": (
        [file("f", uid=2**32 - 2, pax={"gid": "4294967294"})],
        [made(b"f", uid=2**32 - 2, gid=2**32 - 2)],
    ),
    "MD-18": ([file("f", mtime=-100)], [made(b"f", seconds=-100)]),
    "MD-18 PAX": (
        [file("f", pax={"mtime": "-1.5"})],
        [made(b"f", seconds=-2, nanos=500_000_000)],
    ),
    "MD-18 PY-08 all of the nanoseconds": (
        [file("f", pax={"mtime": "1234567890.123456789"})],
        [made(b"f", seconds=1_234_567_890, nanos=123_456_789)],
    ),
    "MD-19": ([file("f", mtime=2**34)], [made(b"f", seconds=2**34)]),
    "MD-20": ([file("f", mtime=b" " * 12)], [made(b"f", seconds=0)]),
    "MD-20 NUL": ([file("f", mtime=bytes(12))], [made(b"f", seconds=0)]),
    "MD-22": ([file("f", pax={"atime": "foo", "ctime": "1"})], [made(b"f")]),
    "MD-23": (
        [file(f"f{size}", b"s" * size) for size in (0, 1, 511, 512, 513, (1 << 20) + 1)],
        [made(b"f%d" % size, b"s" * size) for size in (0, 1, 511, 512, 513, (1 << 20) + 1)],
    ),
    "XA-01": (
        [file("u", pax={"SCHILY.xattr.user.k": "v"})],
        [made(b"u", xattrs={"user.k": b"v"})],
    ),
    "XA-05": ([file("u", pax={"LIBARCHIVE.xattr.user.k": "dmFs"})], [made(b"u")]),
    "XA-12": (
        [symlink("s", "t", pax={"SCHILY.xattr.trusted.k": "v"})],
        [made(b"s", kind=Kind.SYMLINK, link=b"t", xattrs={"trusted.k": b"v"})],
    ),
    "XA-17": (
        [
            file(
                "u",
                pax={"SCHILY.acl.access": "user::rw-", "SCHILY.xattr.system.posix_acl_access": "x"},
            )
        ],
        [made(b"u", xattrs={"system.posix_acl_access": b"x"})],
    ),
    "hard link": (
        [file("a"), hardlink("b", "./a")],
        [made(b"a"), made(b"b", kind=Kind.HARDLINK, link=b"a")],
    ),
    "HL-17 size without data": (
        [file("a"), hardlink("b", "a", size=4)],
        [made(b"a"), made(b"b", kind=Kind.HARDLINK, link=b"a")],
    ),
    "a folder with a size": (
        [directory("d", size=4096)],
        [made(b"d", kind=Kind.DIRECTORY)],
    ),
    "a symlink with a size": (
        [symlink("s", "t", size=1)],
        [made(b"s", kind=Kind.SYMLINK, link=b"t")],
    ),
    "the target of a symlink stays as it is": (
        [symlink("s", ".//../a/./")],
        [made(b"s", kind=Kind.SYMLINK, link=b".//../a/./")],
    ),
    "marks": (
        [whiteout("d/a", uid=2**32 - 1), opaque("d"), opaque("")],
        [
            (Entry(b"d/a", Kind.WHITEOUT), b""),
            (Entry(b"d", Kind.OPAQUE), b""),
            (Entry(b"", Kind.OPAQUE), b""),
        ],
    ),
    "the content of a mark is skipped": (
        [file("d/.wh.a", b"p" * 600)],
        [(Entry(b"d/a", Kind.WHITEOUT), b"")],
    ),
}

RICH = archive(
    pax({"comment": "git"}, everywhere=True),
    directory("./", 0o711),
    directory("d/", pax={"mtime": "1.5", "SCHILY.xattr.user.k": "v"}),
    file("d/f", b"f" * 700),
    gnu_long_name(N300) + file("trunc", magic=GNU),
    gnu_long_link(N300) + symlink("s", "trunc", magic=GNU),
    hardlink("h", "d/f"),
    gnu_sparse("sp", [(1024 * n, 1) for n in range(6)], 9000, b"abcdef"),
    character("c", 1, 3),
    whiteout("d/w"),
    opaque("d"),
)
"""One of everything that a reader has a way of its own for."""
