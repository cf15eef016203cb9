"""What the writer writes is what every reader reads, and always the same bytes."""

import hashlib
import io
import subprocess
import tarfile

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.listing import entries_of
from support.trees import scan

from layerkit.layer import header, writer
from layerkit.tree import Entry, Extent, Kind

NS = 10**9


def written(*entries, content=b""):
    """The archive of these entries; every file has the first bytes of `content`, or zeros."""
    pieces = []
    for entry in entries:
        pieces.append(writer.header(entry))
        if entry.kind is Kind.FILE:
            data = content[: entry.size].ljust(entry.size, b"\0")
            pieces += [data, writer.padding(entry.size)]
    return b"".join(pieces) + writer.END


def without_place(entries):
    """The entries without where their content lies, which only an archive decides."""
    return [msgspec.structs.replace(entry, data=0) for entry in entries]


NAMES = st.binary(min_size=1, max_size=255).filter(
    lambda name: b"/" not in name and b"\0" not in name and name not in {b".", b".."}
).filter(lambda name: not name.startswith(b".wh."))  # fmt: skip
PATHS = st.lists(NAMES, min_size=1, max_size=6).map(b"/".join)
SIMPLE = st.lists(st.sampled_from([b"a", b"b", b"a b", b"x" * 99, b"\xe9"]), min_size=1).map(
    lambda names: b"/".join(names)[:4000]
)
IDS = st.one_of(st.integers(0, 3), st.integers(0, 2**32 - 2))
TARGETS = st.binary(min_size=1, max_size=4095).filter(lambda target: b"\0" not in target)
XATTR_NAMES = st.text(
    st.characters(exclude_characters="=\0", exclude_categories=["Cs"]), min_size=1, max_size=40
).map("user.{}".format)
XATTRS = st.dictionaries(
    XATTR_NAMES.filter(lambda name: not name.startswith("user.overlay.")),
    st.binary(min_size=1, max_size=300),
    max_size=3,
)
DEVICES = st.tuples(st.integers(0, 4095), st.integers(0, 2**20 - 1)).filter(any)


@st.composite
def any_entry(draw):
    """An entry of any kind that a reader can give."""
    path = draw(PATHS | SIMPLE)
    kind = draw(st.sampled_from([kind for kind in Kind if kind is not Kind.SOCKET]))
    if kind in {Kind.WHITEOUT, Kind.OPAQUE}:
        return Entry(path[:200].rstrip(b"/"), kind)
    return Entry(
        path,
        kind,
        mode=draw(st.integers(0, 0o7777)),
        uid=draw(IDS),
        gid=draw(IDS),
        seconds=draw(st.integers(-(2**61), 2**61) | st.integers(0, 2**31)),
        nanos=draw(st.just(0) | st.integers(0, NS - 1)),
        size=draw(st.integers(0, 2000)) if kind is Kind.FILE else 0,
        link=_link(draw, kind),
        device=draw(DEVICES) if kind in {Kind.CHARACTER, Kind.BLOCK} else (0, 0),
        xattrs=draw(XATTRS),
    )


def _link(draw, kind):
    if kind is Kind.SYMLINK:
        return draw(TARGETS)
    return draw(PATHS) if kind is Kind.HARDLINK else b""


@given(st.lists(any_entry(), max_size=5))
def test_what_is_written_is_read(entries):
    """The reader gives back exactly the entries that were written, whatever is in them."""
    assert without_place(entries_of(written(*entries))) == entries


@given(any_entry())
def test_pax_is_used_only_where_it_must_be(entry):
    """An entry that fits ustar is one block; any other has exactly one extended header before it."""
    blocks = writer.header(entry)

    flags = [blocks[156:157], blocks[-512:][156:157]]
    assert flags[0] in ({b"x"} if len(blocks) > 512 else {flags[1]})
    assert header.parse(blocks[-512:]).size < 8**11
    assert len(blocks) % 512 == 0


@pytest.mark.parametrize(
    ("entry", "records"),
    [
        (Entry(b"f", Kind.FILE), {}),
        (Entry(b"x" * 100, Kind.FILE), {}),
        (Entry(b"x" * 100, Kind.DIRECTORY), {"path": "x" * 100 + "/"}),
        (Entry(b"d" * 155 + b"/" + b"f" * 100, Kind.FILE), {}),
        (Entry(b"d" * 155 + b"/" + b"f" * 99, Kind.DIRECTORY), {}),
        (Entry(b"d" * 156 + b"/f", Kind.FILE), {"path": "d" * 156 + "/f"}),
        (Entry(b"d/" + b"f" * 101, Kind.FILE), {"path": "d/" + "f" * 101}),
        (Entry("ü".encode(), Kind.FILE), {"path": "ü"}),
        (Entry(b"s", Kind.SYMLINK, link=b"t" * 100), {}),
        (Entry(b"s", Kind.SYMLINK, link=b"t" * 101), {"linkpath": "t" * 101}),
        (Entry(b"f", Kind.FILE, uid=0o7777777, gid=0o7777777), {}),
        (Entry(b"f", Kind.FILE, uid=0o10000000), {"uid": "2097152"}),
        (Entry(b"f", Kind.FILE, gid=2**32 - 2), {"gid": "4294967294"}),
        (Entry(b"f", Kind.FILE, size=8**11 - 1), {}),
        (Entry(b"f", Kind.FILE, size=8**11), {"size": "8589934592"}),
        (Entry(b"f", Kind.FILE, seconds=8**11 - 1), {}),
        (Entry(b"f", Kind.FILE, seconds=8**11), {"mtime": "8589934592"}),
        (Entry(b"f", Kind.FILE, seconds=-1), {"mtime": "-1"}),
        (Entry(b"f", Kind.FILE, seconds=-2, nanos=NS // 2), {"mtime": "-1.5"}),
        (Entry(b"f", Kind.FILE, seconds=-1, nanos=NS - 1), {"mtime": "-0.000000001"}),
        (Entry(b"f", Kind.FILE, seconds=10, nanos=100), {"mtime": "10.0000001"}),
        (Entry(b"f", Kind.FILE, xattrs={"user.k": b"v\n=v"}), {"SCHILY.xattr.user.k": "v\n=v"}),
    ],
    ids=lambda each: f"{each.kind.name} {each.path[:6]!r}" if isinstance(each, Entry) else "",
)
def test_the_border_between_ustar_and_pax(entry, records):
    """The last value that a field holds is in the field, the next one in a record."""
    blocks = writer.header(entry)

    info = tarfile.TarInfo.frombuf(blocks[-512:], "utf-8", "surrogateescape")
    assert (len(blocks) > 512) == bool(records)
    if records:
        with tarfile.open(fileobj=io.BytesIO(blocks + writer.END), ignore_zeros=True) as tar:
            assert tar.next().pax_headers == records
    else:
        assert info.name == entry.path.decode()
        assert (info.uid, info.gid, info.mtime) == (entry.uid, entry.gid, entry.seconds)


def test_names_that_are_no_utf8_are_raw_bytes():
    """A name of any bytes is in its record as it is."""
    blocks = writer.header(Entry(b"caf\xe9", Kind.SYMLINK, link=b"\xff"))

    assert b"13 path=caf\xe9\n" in blocks
    assert b"14 linkpath=\xff\n" in blocks


def test_a_header_has_nothing_but_the_file():
    """Names of owners, device numbers and the rest of the block are empty or zero."""
    block = writer.header(Entry(b"f", Kind.FILE, 0o4755, 1, 2, 3, size=4))

    assert block[257:265] == b"ustar\x0000"
    assert block[265:329] == bytes(64)
    assert block[329:345] == b"0000000\x000000000\0"
    assert block[345:] == bytes(167)
    assert block[100:148] == (b"0004755\x000000001\x000000002\x0000000000004\x0000000000003\0")


def test_the_bytes_never_change():
    """The same entries give these bytes, on any machine and in any later version."""
    archive = written(
        Entry(b"", Kind.DIRECTORY, 0o700),
        Entry(b"d", Kind.DIRECTORY, 0o1777, 1, 2, 3),
        Entry(b"d/f", Kind.FILE, 0o640, 2**31, 5, 7, 250_000_000, size=3, xattrs={"user.a": b"b"}),
        Entry(b"d/h", Kind.HARDLINK, 0o640, link=b"d/f"),
        Entry(b"d/s", Kind.SYMLINK, 0o777, link=b"\xff"),
        Entry(b"n", Kind.CHARACTER, device=(1, 3)),
        Entry(b"gone", Kind.WHITEOUT),
        content=b"abc",
    )

    assert hashlib.sha256(archive).hexdigest() == (
        "2967a904173cf81d8814dbed3aecbbc5d64eec193303e4e2d3c1cb25f1b1dc6f"
    )


def test_markers_are_empty_files():
    """A whiteout and an opaque mark are files of a fixed time with the marker's name."""
    marks = [Entry(b"a/b", Kind.WHITEOUT), Entry(b"c", Kind.OPAQUE), Entry(b"", Kind.OPAQUE)]

    with tarfile.open(fileobj=io.BytesIO(written(*marks))) as tar:
        found = [(info.name, info.isreg(), info.size, info.mtime) for info in tar]

    names = ["a/.wh.b", "c/.wh..wh..opq", ".wh..wh..opq"]
    assert found == [(name, True, 0, 0) for name in names]


def test_a_sparse_file_is_written_as_a_plain_one():
    """Only the size counts, not where the holes are."""
    entry = Entry(b"f", Kind.FILE, size=9, data=4096, extents=(Extent(3, 2),))

    assert writer.header(entry) == writer.header(Entry(b"f", Kind.FILE, size=9))


@pytest.mark.parametrize(
    ("entry", "kept", "warning"),
    [
        (Entry(b"f", Kind.FILE), True, None),
        (Entry(b"s", Kind.SOCKET), False, "left out socket 's': a tar holds none"),
        (
            Entry(b"f", Kind.FILE, xattrs={"user.a=b": b"x", "user.c": b"y"}),
            True,
            "left out xattr 'user.a=b' of 'f': a tar cannot spell its name",
        ),
        (
            Entry(b"f", Kind.FILE, xattrs={"user.\udcff": b"x"}),
            True,
            "left out xattr 'user.\\udcff' of 'f': a tar cannot spell its name",
        ),
    ],
    ids=["all", "socket", "xattr with =", "xattr that is no text"],
)
def test_what_a_tar_cannot_hold_is_left_out_and_told(entry, kept, warning):
    """Sockets and xattrs that no record can name go, with one warning each; the rest stays."""
    warnings = []

    result = writer.writable(entry, warnings.append)

    assert warnings == ([warning] if warning else [])
    assert (result is not None) == kept
    if result is not None:
        assert all("=" not in name and name.isascii() for name in result.xattrs)
        assert entries_of(written(result))


def paths(entries):
    """Path and link of each entry."""
    return [
        (entry.path.decode(), entry.kind.name.lower(), entry.link.decode()) for entry in entries
    ]


def test_entries_are_sorted_by_components():
    """Parents come first, siblings in byte order, and what is in a folder right behind it."""
    names = [b"a.b", b"a/z", b"a", b"", b"a-b", b"a/b/c", b"a/b", b"B"]

    arranged = writer.arrange(Entry(name, Kind.DIRECTORY) for name in names)

    wanted = [b"", b"B", b"a", b"a/b", b"a/b/c", b"a/z", b"a-b", b"a.b"]
    assert [entry.path for entry in arranged] == wanted


def test_whiteouts_come_before_their_siblings():
    """A reader that applies a mark when it meets it never removes what the layer itself brings."""
    arranged = writer.arrange(
        [
            Entry(b"d/+new", Kind.FILE),
            Entry(b"d", Kind.OPAQUE),
            Entry(b"+x", Kind.DIRECTORY),
            Entry(b"+x", Kind.WHITEOUT),
            Entry(b"d", Kind.DIRECTORY),
        ]
    )

    assert paths(arranged) == [
        ("+x", "whiteout", ""),
        ("+x", "directory", ""),
        ("d", "directory", ""),
        ("d", "opaque", ""),
        ("d/+new", "file", ""),
    ]


@pytest.mark.parametrize("first", [b"a", b"b", b"c/d"])
def test_hard_links_come_after_their_file(first):
    """Whichever name was met first, the one that is first in order gets the content."""
    names = {b"a", b"b", b"c/d"}
    group = [Entry(first, Kind.FILE, size=3)]
    group += [
        Entry(name, Kind.HARDLINK, link=first) for name in sorted(names - {first}, reverse=True)
    ]

    assert paths(writer.arrange(group)) == [
        ("a", "file", ""),
        ("b", "hardlink", "a"),
        ("c/d", "hardlink", "a"),
    ]


def test_a_link_to_a_file_of_another_layer_stays_as_it_is():
    """A target that is not among the entries is not touched."""
    link = Entry(b"a", Kind.HARDLINK, link=b"z")

    assert writer.arrange([link]) == [link]


VARIED = [
    Entry(b"", Kind.DIRECTORY, 0o711, seconds=5),
    Entry(b"d", Kind.DIRECTORY, 0o1777, 1, 2, 3),
    Entry(b"d/" + b"n" * 200, Kind.FILE, 0o4755, 3, 4, 5, 123_456_789, size=700),
    Entry(b"d/again", Kind.HARDLINK, 0o4755, 3, 4, 5, 123_456_789, link=b"d/" + b"n" * 200),
    Entry(b"d/caf\xe9", Kind.FILE, 0o600, 3_000_000, 3_000_001, 5, size=512),
    Entry(b"d/line\nbreak", Kind.FILE, 0o644, size=1, xattrs={"user.note": b"a\0b\n"}),
    Entry(b"d/pipe", Kind.FIFO, 0o640),
    Entry("d/ümlaut".encode(), Kind.SYMLINK, 0o777, 7, 8, 9, link=b"\xff" * 120),
    Entry(b"disk", Kind.BLOCK, 0o660, device=(300, 70_000)),
    Entry(b"null", Kind.CHARACTER, 0o666, device=(1, 3)),
]


def test_python_reads_it_alike():
    """The standard library finds the same names, kinds, numbers, links and content."""
    data = bytes(range(256)) * 3
    archive = written(*VARIED, content=data)

    with tarfile.open(fileobj=io.BytesIO(archive), encoding="utf-8") as tar:
        found = {info.name.encode("utf-8", "surrogateescape"): info for info in tar}
        content = {
            name: tar.extractfile(each).read() for name, each in found.items() if each.isreg()
        }

    assert list(found) == [entry.path or b"." for entry in VARIED]
    for entry in VARIED:
        info = found[entry.path or b"."]
        assert (info.mode, info.uid, info.gid) == (entry.mode, entry.uid, entry.gid)
        assert info.mtime == pytest.approx(entry.mtime / NS)
        assert info.linkname.encode("utf-8", "surrogateescape") == entry.link
        assert (info.devmajor, info.devminor) == entry.device
        if entry.kind is Kind.FILE:
            assert content[entry.path] == data[: entry.size]


@pytest.mark.root
@pytest.mark.debian("tar", "setfattr")
def test_gnu_tar_reads_it_alike(tmp_path):
    """GNU tar extracts the same tree, down to nanoseconds, owners, devices and xattrs."""
    data = bytes(range(256)) * 3
    root = tmp_path / "root"
    root.mkdir()

    done = subprocess.run(
        ["tar", "-x", "-C", root, "--numeric-owner", "--xattrs", "--xattrs-include=*"],
        input=written(*VARIED, content=data),
        check=True,
        capture_output=True,
    )

    assert done.stderr == b""
    found = scan(root)
    assert set(found) == {entry.path for entry in VARIED}
    for entry in VARIED:
        got = found[entry.path]
        assert (got.mode, got.uid, got.gid) == (entry.mode, entry.uid, entry.gid), entry
        assert got.mtime == entry.mtime
        assert got.device == entry.device
        assert dict(got.xattrs) == entry.xattrs
        if entry.kind is Kind.FILE:
            assert got.sha256 == hashlib.sha256(data[: entry.size]).hexdigest()
        if entry.kind is Kind.SYMLINK:
            assert got.target == entry.link
    assert found[b"d/again"].links == {b"d/again", b"d/" + b"n" * 200}
