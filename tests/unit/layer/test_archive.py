"""Layer archives become entries."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tarfile

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import layer_cases, tars, trees
from support.listing import content, entries_of, merged, read_at, scan_of
from support.tars import (
    GNU,
    MTIME,
    V7,
    archive,
    directory,
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

from layerkit.errors import ArchiveError
from layerkit.layer import archive as reader
from layerkit.layer import merge, toc
from layerkit.layer.toc import Toc
from layerkit.tree import Entry, Kind

N300 = "n" * 150 + "/" + "m" * 149
Z = file("z", "next")
"""Stands behind what is tested, to see that the reader goes on at the right place."""
Z_READ = (Entry(b"z", Kind.FILE, seconds=MTIME, size=4), b"next")


def made(path, data=b"x", kind=Kind.FILE, **fields):
    """The entry wanted, without the place of its content, and the content."""
    if kind is not Kind.FILE:
        data = b""
    fields.setdefault("mode", {Kind.DIRECTORY: 0o755, Kind.SYMLINK: 0o777}.get(kind, 0o644))
    fields.setdefault("seconds", MTIME)
    return Entry(path, kind, size=len(data), **fields), data


def seen(tar):
    """Each entry of an archive like that."""
    return [
        (
            msgspec.structs.replace(entry, data=0),
            content(tar, entry) if entry.kind is Kind.FILE else b"",
        )
        for entry in entries_of(tar)
    ]


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
    "TF-06": ([gnu_long_name("first"), gnu_long_name("second"), file("t")], [made(b"second")]),
    "TF-07": ([file("short", pax={"path": N300})], [made(N300.encode())]),
    "TF-07 link": (
        [symlink("s", "short", pax={"linkpath": N300})],
        [made(b"s", kind=Kind.SYMLINK, link=N300.encode())],
    ),
    "TF-07 over a prefix": ([file("f", prefix=b"pre", pax={"path": "p"})], [made(b"p")]),
    "TF-10": ([x_header(b"9 path=a\n9 path=b\n"), file("t")], [made(b"b")]),
    "TF-11": ([file("t", pax={"path": ""})], [made(b"t")]),
    "TF-11 link": (
        [symlink("s", "t", pax={"linkpath": ""})],
        [made(b"s", kind=Kind.SYMLINK, link=b"t")],
    ),
    "TF-12": ([pax({"uid": "7"}), pax({"gid": "8"}), file("t")], [made(b"t", gid=8)]),
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
    "DV-10": ([pax({"path": "zzz", "uid": "7"}, everywhere=True), file("a")], [made(b"a")]),
    "DV-10 between": (
        [pax({"path": "p"}), pax({"path": "zzz"}, everywhere=True), file("a")],
        [made(b"p")],
    ),
    "DV device": (
        [tars.character("c", 4095, 1048575)],
        [made(b"c", kind=Kind.CHARACTER, device=(4095, 1048575))],
    ),
    "DV block device": (
        [tars.block("b", 8, 1, mode=0o660, gid=6)],
        [made(b"b", kind=Kind.BLOCK, device=(8, 1), mode=0o660, gid=6)],
    ),
    "DV block device 0:0": ([tars.block("b", 0, 0)], [made(b"b", kind=Kind.BLOCK)]),
    "DV GNU device": (
        [tars.character("c", 1, 3, magic=GNU)],
        [made(b"c", kind=Kind.CHARACTER, device=(1, 3))],
    ),
    "DV fifo": ([tars.fifo("p")], [made(b"p", kind=Kind.FIFO)]),
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


@pytest.mark.parametrize(("entries", "wanted"), READ.values(), ids=READ)
def test_entries_are_read(entries, wanted):
    """Each dialect gives its entry, field by field, and the next entry after it."""
    assert seen(archive(*entries, Z)) == [*wanted, Z_READ]


REFUSED = {
    "TF-13": ([x_header(b"99 path=a\n"[:9]), Z], "invalid PAX record of length 99"),
    "TF-13 where": ([Z, x_header(b"junk"), Z], "in the extended header at byte 1024"),
    "TF-13 global": ([x_header(b"junk", b"g"), Z], "in the extended header at byte 0"),
    "TF-13 padding": ([x_header(b"9 path=a\n" + bytes(3)), Z], "invalid PAX record"),
    "TF-14 NUL in a path": ([file("t", pax={"path": "a\0b"})], "unsafe name"),
    "TF-15 mtime": ([file("t", pax={"mtime": "foo"})], "invalid PAX mtime b'foo'"),
    "TF-15 uid": ([file("t", pax={"uid": "x1"})], "invalid PAX uid b'x1'"),
    "TF-15 size": ([file("t", pax={"size": "1k"})], "invalid PAX size b'1k'"),
    "TF-16 header": ([file("t", size=-512)], "negative size -512"),
    "TF-16 PAX": ([file("t", pax={"size": "-512"})], "size -512 is out of range"),
    "TF-16 beyond 64 bits": ([file("t", pax={"size": str(2**63 - 1)})], "is out of range"),
    "TF-16 beyond 64 bits together": (
        [file("t", size=2**63 - 1)],
        "size 9223372036854775807 is out of range (entry 't')",
    ),
    "TF-16 beyond the archive": ([file("t", size=2**62)], "cut off"),
    "TF-24": (
        [header("e/", b"\0", magic=V7, size=3) + padded(b"abc"), Z],
        "wrong header checksum",
    ),
    "TF-27": ([header("bad", b"0")[:-1] + b"x", Z], "wrong header checksum"),
    "TF-27 where": ([Z, header("bad", b"0")[:-1] + b"x"], "in the header of 'bad' at byte 1024"),
    "TF-27 later": ([Z, header("bad", b"0")[:-1] + b"x", Z], "wrong header checksum"),
    "TF-36 extended header": (
        [header("PaxHeaders/x", b"x", size=(1 << 20) + 1)],
        "extended header of 1048577 bytes, at most 1048576",
    ),
    "TF-36 global header": ([header("x", b"g", size=2**40)], "extended header of"),
    "TF-36 long name": ([header("x", b"L", size=2**40, magic=GNU)], "extended header of"),
    "TF-37 PAX": ([pax({"path": "a"})], "between an extended header and its entry"),
    "TF-37 long name": ([gnu_long_name("a")], "between an extended header and its entry"),
    "TF-37 long link": ([gnu_long_link("a")], "between an extended header and its entry"),
    "HL-17": (
        [file("a"), hardlink("b", "a", size=4) + padded(b"data"), Z],
        "wrong header checksum",
    ),
    "HL without a target": ([hardlink("b", "")], "hard link without a target (entry 'b')"),
    "HL up": ([hardlink("b", "../a")], "unsafe name '../a' (entry 'b')"),
    "HL root": ([file("a"), hardlink("./", "a")], "the root would become a hardlink"),
    "SL-15": ([symlink("s", "")], "symlink with an invalid target '' (entry 's')"),
    "SL NUL": ([symlink("s", "t", pax={"linkpath": "a\0b"})], "invalid target 'a\\x00b'"),
    "SL long": (
        [symlink("s", "t", pax={"linkpath": "t" * 4096})],
        "symlink with an invalid target",
    ),
    "NM-04": ([file("", "zz")], "an entry without a name"),
    "NM-10": ([file("t", pax={"path": "abc/" * 1500})], "name of 5999 bytes, at most 4095"),
    "NM root file": ([file("./")], "the root would become a file"),
    "NM root symlink": ([symlink(".", "/tmp")], "the root would become a symlink"),
    "DV-03": ([tars.character("top", 0, 0)], "character device 0:0"),
    "DV-03 v7": ([header("c", b"3", magic=V7)], "character device 0:0"),
    "DV-04": ([tars.character("c", 2**32, 2**32)], "device number 4294967296:4294967296"),
    "DV-04 major": ([tars.block("b", 4096, 0)], "device number 4096:0 is out of range"),
    "DV-04 minor": ([tars.block("b", 0, 1 << 20)], "device number 0:1048576 is out of range"),
    "DV-04 negative": ([tars.character("c", -1, 5)], "device number -1:5 is out of range"),
    "DV-06": ([header("sock", b"s"), Z], "unknown type flag b's' (entry 'sock')"),
    "DV-06 Z": ([header("v", b"Z", size=2) + padded(b"xx"), Z], "unknown type flag b'Z'"),
    "DV-06 marker": ([header(".wh.v", b"Z"), Z], "unknown type flag b'Z'"),
    "MD-15 uid": ([file("f", uid=2**32 - 1)], "uid 4294967295 is out of range"),
    "MD-15 gid": ([file("f", gid=-1)], "gid -1 is out of range"),
    "MD-15 PAX": ([file("f", pax={"uid": "4294967295"})], "uid 4294967295 is out of range"),
    "XA name": (
        [file("f", pax={b"SCHILY.xattr.user.overlay.\xff": b"v"})],
        "its name is not UTF-8 (entry 'f')",
    ),
    "WH-27": ([file(".wh.d/some")], "whiteout name used as a folder"),
    "WH-28": ([layer_cases.marker("d/.wh...")], "invalid whiteout 'd/.wh...'"),
}


@pytest.mark.parametrize(("entries", "why"), REFUSED.values(), ids=REFUSED)
def test_broken_archives_are_refused(entries, why):
    """What the formats do not allow is an error that says what and where, never a lost entry."""
    with pytest.raises(ArchiveError) as caught:
        entries_of(archive(*entries))

    assert why in str(caught.value)


ENDS = {
    "TE-01 no end blocks": (b"", None),
    "TE-02 one zero block": (bytes(512), None),
    "two zero blocks": (bytes(1024), None),
    "TE-03 a whole record of zeros": (bytes(10240), None),
    "TE-04 junk behind the end": (bytes(1024) + b"junk", None),
    "TE-05 junk behind one zero block": (bytes(512) + b"junk" * 128, "one zero block at byte 1024"),
    "TE-05 an entry behind one zero block": (bytes(512) + Z, "one zero block at byte 1024"),
    "part of a zero block": (bytes(100), "cut off after 1024 bytes"),
    "one zero block and a part": (bytes(600), "one zero block at byte 1024"),
    "TE-06 part of a header": (Z[:300], "cut off after 1024 bytes"),
    "TE-06 a global header without its records": (
        pax({"comment": "git"}, everywhere=True)[:512],
        "cut off after 2048 bytes",
    ),
    "TE-07 junk": (b"junk" * 128, "invalid checksum b'junkjunk'"),
    "TE-08 part of the content": (file("big", b"x" * 600)[:1024], "cut off after 2560 bytes"),
    "no padding": (file("big", b"x" * 600)[:-424], None),
}


@pytest.mark.parametrize(("end", "why"), ENDS.values(), ids=ENDS)
def test_an_archive_ends_in_one_of_few_ways(end, why):
    """An archive ends after whole entries, with zeros or without; all else is damage."""
    tar = archive(Z, end=end)
    if why is None:
        assert seen(tar)[0] == Z_READ
    else:
        with pytest.raises(ArchiveError, match=why):
            entries_of(tar)


@pytest.mark.parametrize("tar", [b"", bytes(512), bytes(1024)], ids=["TE-10", "one", "TE-09"])
def test_an_empty_archive_has_no_entries(tar):
    """TE-09: nothing, or end blocks alone, is the empty layer."""
    assert entries_of(tar) == []


RICH = archive(
    pax({"comment": "git"}, everywhere=True),
    directory("./", 0o711),
    directory("d/", pax={"mtime": "1.5", "SCHILY.xattr.user.k": "v"}),
    file("d/f", b"f" * 700),
    gnu_long_name(N300) + file("trunc", magic=GNU),
    gnu_long_link(N300) + symlink("s", "trunc", magic=GNU),
    hardlink("h", "d/f"),
    gnu_sparse("sp", [(1024 * n, 1) for n in range(6)], 9000, b"abcdef"),
    tars.character("c", 1, 3),
    whiteout("d/w"),
    opaque("d"),
)


def test_a_cut_archive_gives_no_entry_that_is_not_whole():
    """TE-14: cut at any byte, an archive is an error, or ends between entries with these whole."""
    whole = entries_of(RICH)
    for cut in range(len(RICH)):
        found = []
        try:
            found.extend(reader.read(read_at(RICH[:cut]), str))
        except ArchiveError:
            continue
        assert found == whole[: len(found)]
        assert all(entry.data + _stored(entry) <= cut for entry in found)


def _stored(entry):
    if entry.kind is not Kind.FILE:
        return 0
    return entry.size if entry.extents is None else sum(part.size for part in entry.extents)


def test_what_is_left_out_is_told():
    """D5, D20: AUFS' bookkeeping and xattrs that steer tools are left out, each with a warning."""
    steering = (
        *(f"trusted.overlay.{name}" for name in ("opaque", "redirect", "metacopy", "whiteout")),
        *(f"user.overlay.{name}" for name in ("opaque", "origin", "impure", "nlink", "uuid")),
        "user.rootlesscontainers",
        "user.containers.override_stat",
    )
    kept = ("user.k", "trusted.overlayx", "user.overlay", "security.capability")
    records = {f"SCHILY.xattr.{name}": "v" for name in (*steering, *kept)}
    warnings = []

    entries = entries_of(
        archive(directory(".wh..wh.plnk/"), file(".wh..wh.plnk/1.2"), file("f\x1b", pax=records)),
        warnings.append,
    )

    assert [entry.path for entry in entries] == [b"f\x1b"]
    assert sorted(entries[0].xattrs) == sorted(kept)
    assert warnings == [
        "left out '.wh..wh.plnk': bookkeeping of AUFS",
        "left out '.wh..wh.plnk/1.2': bookkeeping of AUFS",
        *(f"left out xattr {name} of 'f\\x1b'" for name in steering),
    ]


@pytest.mark.parametrize(
    "entry",
    [file("f"), whiteout("f"), file(".wh..wh.plnk/1")],
    ids=["file", "whiteout", "left out"],
)
def test_the_number_of_entries_has_a_limit(entry):
    """CZ-20: more entries than the limit are an error, also those that are left out."""
    assert len(list(reader.read(read_at(archive(*[entry] * 3)), str, limit=3))) in {0, 3}
    with pytest.raises(ArchiveError, match="more than 3 entries in one layer"):
        list(reader.read(read_at(archive(*[entry] * 4)), str, limit=3))


def test_entries_come_one_by_one():
    """Entries before a damage are given before the error is raised."""
    entries = reader.read(read_at(archive(Z, file("y"), end=b"junk" * 128)), str)

    assert [next(entries).path, next(entries).path] == [b"z", b"y"]
    with pytest.raises(ArchiveError):
        next(entries)


LONGEST_NAMES = {"v7": 80, "ustar": 230, "gnu": 600, "oldgnu": 600, "pax": 600}


class TestOtherWriters:
    """TF-41: the same tree, written by other programs in every format of theirs, is read back."""

    @pytest.fixture
    def tree(self, tmp_path):
        """A folder with one of everything that all formats can hold."""
        root = tmp_path / "tree"
        for folder in ("d", "d/empty", "umläut", "d/" + "l" * 60):
            (root / folder).mkdir(parents=True)
        for size in (0, 1, 511, 512, 513, 10_000):
            (root / f"d/f{size}").write_bytes(b"x" * size)
        (root / "umläut/ß").write_bytes(b"u")
        (root / "s").symlink_to("../d/./f1")
        os.link(root / "d/f1", root / "h")
        os.chown(root / "d/f0", os.geteuid(), os.getegid())
        os.chmod(root / "d/f511", 0o4751)
        os.chmod(root / "d/empty", 0o1700)
        return root

    def finish(self, root, longest):
        """Add what only some formats hold, and set times to whole seconds."""
        name = "/".join(["n" * 75] * (longest // 76))
        if name:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(b"long")
        if longest > 100:
            os.mkfifo(root / "p")
        if longest > 500:
            (root / "long link").symlink_to("t" * 400)
        for path in sorted(trees.scan(root), reverse=True):
            os.utime(os.path.join(os.fsencode(root), path), (5, 5), follow_symlinks=False)

    @pytest.mark.parametrize("dialect", LONGEST_NAMES)
    def test_gnu_tar(self, dialect, tree, tmp_path):
        """GNU tar in each of its formats."""
        self.finish(tree, LONGEST_NAMES[dialect])
        path = tmp_path / "a.tar"
        subprocess.run(["tar", f"--format={dialect}", "-cf", path, "-C", tree, "."], check=True)

        self.check(tree, path.read_bytes())

    @pytest.mark.parametrize(
        ("dialect", "longest"),
        [
            pytest.param(tarfile.USTAR_FORMAT, 230, id="ustar"),
            pytest.param(tarfile.GNU_FORMAT, 600, id="gnu"),
            pytest.param(tarfile.PAX_FORMAT, 600, id="pax"),
        ],
    )
    def test_python(self, dialect, longest, tree, tmp_path):
        """Python's tarfile in each of its formats."""
        self.finish(tree, longest)
        path = tmp_path / "a.tar"
        with tarfile.open(path, "w", format=dialect) as out:
            out.add(tree, ".")

        self.check(tree, path.read_bytes())

    @pytest.mark.parametrize("program", ["gnu tar", "python"])
    def test_fractions_of_seconds(self, program, tree, tmp_path):
        """PAX archives keep times finer than a second: GNU tar to the nanosecond."""
        moment = 1_600_000_000_123_456_789 if program == "gnu tar" else 1_600_000_000_500_000_000
        for path in sorted(trees.scan(tree), reverse=True):
            full = os.path.join(os.fsencode(tree), path)
            os.utime(full, ns=(moment, moment), follow_symlinks=False)
        path = tmp_path / "a.tar"
        if program == "gnu tar":
            subprocess.run(["tar", "--format=pax", "-cf", path, "-C", tree, "."], check=True)
        else:
            with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as out:
                out.add(tree, ".")

        self.check(tree, path.read_bytes())

    def check(self, tree, tar):
        """The archive shows the very tree."""
        assert trees.differences(trees.scan(tree), scan_of(merged([tar]), [tar])) == []


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
STEERING = ("trusted.overlay.", "user.overlay.")
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
)


def edited(tar: bytes, edit) -> bytes:
    """The archive after one edit; most keep to blocks, so that the rest stays readable."""
    what, place, *values = edit
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


@pytest.mark.timeout(1800)
@settings(max_examples=5 * settings().max_examples)
@given(st.sampled_from(SEEDS), st.lists(EDITS, min_size=1, max_size=5), st.booleans())
def test_mutants_are_archives_or_errors(tar, edits, repaired):
    """TF-43: whatever is done to an archive, it gives sound entries or a clean error."""
    for edit in edits:
        tar = edited(tar, edit)
    if repaired:
        tar = with_checksums(tar)

    check_mutant(tar)


def check_mutant(tar: bytes) -> None:
    """What is read, through a file as in the store, can be kept and merged; else `ArchiveError`."""
    handle = os.memfd_create("mutant")
    try:
        os.write(handle, tar)
        warnings: list[str] = []
        entries = list(
            reader.read(lambda offset, size: os.pread(handle, size, offset), warnings.append)
        )
    except ArchiveError:
        return
    finally:
        os.close(handle)
    for entry in entries:
        check_entry(entry, len(tar))
    index = Toc(entries, warnings)
    assert toc.decode(toc.encode(entries, warnings)) == index
    with contextlib.suppress(ArchiveError):
        merge.merge([entries])


def check_entry(entry: Entry, end: int) -> None:
    """An entry says nothing that could not be, and no content that is not there."""
    assert b".." not in entry.path.split(b"/")
    assert not entry.path.startswith(b"/")
    assert 0 <= entry.data <= entry.data + _stored(entry) <= end
    assert entry.size >= 0
    assert 0 <= entry.mode <= 0o7777
    assert 0 <= entry.uid < 2**32 - 1
    assert 0 <= entry.nanos < 10**9
    assert not any(name.startswith(STEERING) for name in entry.xattrs)


@pytest.mark.parametrize("tar", SEEDS, ids=range(len(SEEDS)))
def test_the_seeds_of_the_mutants_are_good(tar):
    """What the mutants are made of is read to its end."""
    assert entries_of(tar)
    check_mutant(with_checksums(tar))


@given(st.binary(max_size=2048))
def test_any_bytes_are_an_archive_or_an_error(data):
    """Bytes that no tar wrote are refused."""
    check_mutant(data)
    check_mutant(with_checksums(header("f", b"0") + data))


def test_replaced_values_are_not_shared():
    """An entry's attributes are its own: reading one archive twice gives equal, separate entries."""
    first, second = entries_of(RICH), entries_of(RICH)

    assert first == second
    first[1].xattrs["user.other"] = b"x"
    assert first != second
