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
from support.mutants import MUTANTS, SEEDS, with_checksums
from support.tar_cases import N300, READ, RICH, Z_READ, Z, x_header
from support.tars import (
    GNU,
    V7,
    archive,
    directory,
    file,
    gnu_long_link,
    gnu_long_name,
    gnu_sparse,
    hardlink,
    header,
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


def seen(tar):
    """Each entry of an archive like that."""
    return [
        (
            msgspec.structs.replace(entry, data=0),
            content(tar, entry) if entry.kind is Kind.FILE else b"",
        )
        for entry in entries_of(tar)
    ]


@pytest.mark.parametrize(("entries", "wanted"), READ.values(), ids=READ)
def test_entries_are_read(entries, wanted):
    """Each dialect gives its entry, field by field, and the next entry after it."""
    assert seen(archive(*entries, Z)) == [*wanted, Z_READ]


REFUSED = {
    "TF-13": ([x_header(b"99 path=a\n"[:9]), Z], "invalid PAX record of length 99"),
    "TF-13 where": ([Z, x_header(b"junk"), Z], "in the extended header at byte 1024"),
    "TF-13 global": ([x_header(b"junk", b"g"), Z], "in the extended header at byte 0"),
    "TF-13 padding": ([x_header(b"9 path=a\n" + bytes(3)), Z], "invalid PAX record"),
    "TF-14 PY-05 NUL in a path": ([file("t", pax={"path": "a\0b"})], "unsafe name"),
    "TF-15 PY-05 mtime": ([file("t", pax={"mtime": "foo"})], "invalid PAX mtime b'foo'"),
    "TF-15 PY-05 uid": ([file("t", pax={"uid": "x1"})], "invalid PAX uid b'x1'"),
    "TF-15 size": ([file("t", pax={"size": "1k"})], "invalid PAX size b'1k'"),
    "TF-16 PY-06 SE-24 header": ([file("t", size=-512)], "negative size -512"),
    "TF-16 PY-06 SE-24 PAX": ([file("t", pax={"size": "-512"})], "size -512 is out of range"),
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
    "TF-27 PY-01 later": ([Z, header("bad", b"0")[:-1] + b"x", Z], "wrong header checksum"),
    "TF-36 SE-24 extended header": (
        [header("PaxHeaders/x", b"x", size=(1 << 20) + 1)],
        "extended header of 1048577 bytes, at most 1048576",
    ),
    "TF-36 global header": ([header("x", b"g", size=2**40)], "extended header of"),
    "TF-36 long name": ([header("x", b"L", size=2**40, magic=GNU)], "extended header of"),
    "TF-37 PAX": ([pax({"path": "a"})], "between an extended header and its entry"),
    "TF-37 long name": ([gnu_long_name("a")], "between an extended header and its entry"),
    "TF-37 long link": ([gnu_long_link("a")], "between an extended header and its entry"),
    "HL-17 PY-09": (
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
    "DV-06 PY-07": ([header("sock", b"s"), Z], "unknown type flag b's' (entry 'sock')"),
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
    "TE-06 PY-01 part of a header": (Z[:300], "cut off after 1024 bytes"),
    "TE-06 a global header without its records": (
        pax({"comment": "git"}, everywhere=True)[:512],
        "cut off after 2048 bytes",
    ),
    "TE-07 junk": (b"junk" * 128, "invalid checksum b'junkjunk'"),
    "TE-08 PY-01 part of the content": (file("big", b"x" * 600)[:1024], "cut off after 2560 bytes"),
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


@pytest.mark.parametrize("tar", [b"", bytes(512), bytes(1024)], ids=["TE-10 PY-02", "one", "TE-09"])
def test_an_empty_archive_has_no_entries(tar):
    """TE-09: nothing, or end blocks alone, is the empty layer."""
    assert entries_of(tar) == []


LAST = archive(symlink("s", "t"))
"""A header without content and the end blocks: 1,536 bytes."""
CUTS = {
    "TE-14 content": (
        file("a", b"x" * 700) + LAST,
        [
            (0, 0, ""),
            (511, 0, "cut off"),
            (1211, 1, "cut off"),
            (1536, 1, ""),
            (2047, 1, "cut off"),
            (2048, 2, ""),
        ],
    ),
    "TE-14 a whole block of content": (
        file("a", b"x" * 512) + LAST,
        [
            (0, 0, ""),
            (511, 0, "cut off"),
            (1023, 1, "cut off"),
            (1024, 1, ""),
            (1535, 1, "cut off"),
            (1536, 2, ""),
        ],
    ),
    "TE-14 no content": (
        file("a", b"") + LAST,
        [(0, 0, ""), (511, 0, "cut off"), (512, 1, ""), (1023, 1, "cut off"), (1024, 2, "")],
    ),
    "TE-14 a mark": (
        whiteout("a") + LAST,
        [(0, 0, ""), (511, 0, "cut off"), (512, 1, ""), (1023, 1, "cut off"), (1024, 2, "")],
    ),
    "TE-14 a PAX header of 12 bytes": (
        pax({"uid": "1000"}) + LAST,
        [
            (0, 0, ""),
            (523, 0, "cut off"),
            (1535, 0, "between an extended header and its entry"),
            (1536, 1, ""),
        ],
    ),
    "TE-14 a global header": (
        pax({"uid": "1000"}, everywhere=True) + LAST,
        [(0, 0, ""), (523, 0, "cut off"), (1024, 0, ""), (1535, 0, "cut off"), (1536, 1, "")],
    ),
    "TE-14 a long name": (
        gnu_long_name(N300) + LAST,
        [
            (0, 0, ""),
            (812, 0, "cut off"),
            (1535, 0, "between an extended header and its entry"),
            (1536, 1, ""),
        ],
    ),
    "TE-14 a sparse file with a second header block": (
        gnu_sparse("sp", [(2 * n, 1) for n in range(5)], 10, b"abcde") + LAST,
        [
            (0, 0, ""),
            (1023, 0, "cut off"),
            (1028, 1, "cut off"),
            (1536, 1, ""),
            (2047, 1, "cut off"),
            (2048, 2, ""),
        ],
    ),
    "TE-14 a sparse file with its map before the data": (
        file(
            "sp",
            padded(b"1\n0\n5\n") + b"abcde",
            pax={
                "GNU.sparse.major": "1",
                "GNU.sparse.minor": "0",
                "GNU.sparse.name": "sp",
                "GNU.sparse.realsize": "9",
            },
        )
        + LAST,
        [
            (0, 0, ""),
            (602, 0, "cut off"),
            (1535, 0, "between an extended header and its entry"),
            (1541, 0, "sparse map"),
            (2052, 1, "cut off"),
            (2560, 1, ""),
            (3071, 1, "cut off"),
            (3072, 2, ""),
        ],
    ),
}
"""Archives, and for their cuts how many headers are read and why there are no more.

Each line is for the cuts up to and with its first number; what an archive's end is, is the same
for all.
"""


@pytest.mark.parametrize(("tar", "wanted"), CUTS.values(), ids=CUTS)
def test_a_cut_is_an_error_wherever_an_entry_is_not_whole(tar, wanted):
    """TE-14: cut at each byte, as many headers are read and the error is as listed."""
    end = len(tar) - 1024
    total = wanted[-1][1]
    ends = [(511, "cut off"), (512, ""), (1023, "one zero block"), (1024, "")]
    lines = iter([*wanted, *((end + at, total, why) for at, why in ends)])
    last, count, why = next(lines)
    for cut in range(len(tar) + 1):
        if cut > last:
            last, count, why = next(lines)
        assert read_cut(tar[:cut], why) == count, cut


def read_cut(tar, why):
    """How many entries there are; a reason to stop must be the one that is wanted."""
    count = 0
    with pytest.raises(ArchiveError, match=why) if why else contextlib.nullcontext():
        for _ in reader.read(read_at(tar), str):
            count += 1
    return count


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
    """XA-15: AUFS' bookkeeping and xattrs that steer tools are left out, each with a warning."""
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


STEERING = ("trusted.overlay.", "user.overlay.")


@pytest.mark.timeout(1800)
@settings(max_examples=5 * settings().max_examples)
@given(MUTANTS)
def test_mutants_are_archives_or_errors(tar):
    """TF-43: whatever is done to an archive, it gives sound entries or a clean error."""
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
