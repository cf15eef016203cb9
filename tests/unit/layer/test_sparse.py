"""Sparse files in each of the forms that tar has for them."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import tars, trees
from support.listing import content, entries_of, merged, scan_of

from layerkit.errors import ArchiveError
from layerkit.layer import sparse
from layerkit.tree import Extent

ABC = b"A\0\0\0\0BC\0\0\0"


def pax_0_0(size="10", count="2", pairs=((0, 1), (5, 2)), data=b"ABC"):
    """A file in PAX sparse format 0.0, which repeats its keys."""
    records = [(b"GNU.sparse.size", size), (b"GNU.sparse.numblocks", count)]
    for offset, length in pairs:
        records.append((b"GNU.sparse.offset", str(offset)))
        records.append((b"GNU.sparse.numbytes", str(length)))
    body = b"".join(tars._pax_record(key, value.encode()) for key, value in records)
    head = tars.header("PaxHeaders/x", b"x", size=len(body)) + tars.padded(body)
    return head + tars.file("sp", data)


def pax_0_1(numbers="0,1,5,2", count="2", data=b"ABC", **more):
    """A file in PAX sparse format 0.1, which has its map in one record."""
    records = {
        "GNU.sparse.size": "10",
        "GNU.sparse.numblocks": count,
        "GNU.sparse.map": numbers,
        "GNU.sparse.name": "sp",
        **more,
    }
    return tars.file("GNUSparseFile.0/sp", data, pax=records)


def pax_1_0(numbers=b"2\n0\n1\n5\n2\n", data=b"ABC", **more):
    """A file in PAX sparse format 1.0, which has its map before its data."""
    records = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "sp",
        "GNU.sparse.realsize": "10",
        **more,
    }
    return tars.file("GNUSparseFile.0/sp", tars.padded(numbers) + data, pax=records)


def many(count: int) -> bytes:
    """A PAX 1.0 file whose map has so many extents of one byte."""
    numbers = b"%d\n" % count + b"".join(b"%d\n1\n" % (2 * number) for number in range(count))
    return pax_1_0(numbers, b"x" * count, **{"GNU.sparse.realsize": str(2 * count)})


@pytest.mark.parametrize(
    ("entry", "data"),
    [
        pytest.param(tars.gnu_sparse("sp", [(0, 1), (5, 2), (10, 0)], 10, b"ABC"), ABC, id="TF-29"),
        pytest.param(
            tars.gnu_sparse("sp", [(0, 1), (2, 1), (4, 1), (6, 1), (8, 1)], 20, b"ABCDE"),
            b"A\0B\0C\0D\0E" + bytes(11),
            id="TF-30",
        ),
        pytest.param(
            tars.gnu_sparse("sp", [(2 * n, 1) for n in range(50)], 100, b"x" * 50),
            b"x\0" * 50,
            id="TF-30 three extension blocks",
        ),
        pytest.param(pax_0_0(), ABC, id="TF-31"),
        pytest.param(pax_0_1(), ABC, id="TF-32"),
        pytest.param(
            pax_0_1(**{"GNU.sparse.major": "0", "GNU.sparse.minor": "1"}), ABC, id="TF-32 version"
        ),
        pytest.param(pax_1_0(), ABC, id="TF-33"),
        pytest.param(many(300), b"x\0" * 300, id="TF-33 a map of several blocks"),
        pytest.param(
            tars.gnu_sparse("sp", [(10, 0)], 10, b""), bytes(10), id="old GNU, a hole alone"
        ),
        pytest.param(pax_0_1("10,0", "1", b""), bytes(10), id="0.1, a hole alone"),
        pytest.param(pax_0_1("", "0", b""), bytes(10), id="0.1, an empty map"),
        pytest.param(pax_1_0(b"0\n", b""), bytes(10), id="1.0, an empty map"),
        pytest.param(pax_0_1("0,1,1,2"), b"ABC" + bytes(7), id="extents side by side"),
        pytest.param(pax_0_1("0,1,5,0,5,2", "3"), ABC, id="an empty extent between"),
    ],
)
def test_sparse_files_are_whole(entry, data):
    """Each form gives the same file: its name, its real size, its bytes with zeros between."""
    tar = tars.archive(entry, tars.file("z", "next"))

    found, following = entries_of(tar)

    assert (found.path, found.size) == (b"sp", len(data))
    assert found.extents is not None
    assert content(tar, found) == data
    assert (following.path, content(tar, following)) == (b"z", b"next")


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        pytest.param(pax_0_1("5,2,0,1"), "invalid sparse map", id="TF-34 out of order"),
        pytest.param(pax_0_1("0,2,1,1"), "invalid sparse map", id="TF-34 overlapping"),
        pytest.param(pax_0_1("0,1,9,2"), "invalid sparse map", id="TF-34 beyond the size"),
        pytest.param(pax_0_1(count="3"), "another count", id="TF-34 another count"),
        pytest.param(pax_0_1("0,1,5"), "another count", id="TF-34 half a pair"),
        pytest.param(pax_0_1("0,1,5,x"), "invalid PAX sparse map", id="TF-34 no number"),
        pytest.param(pax_0_1("0,4,5,-1"), "invalid sparse map", id="TF-34 negative length"),
        pytest.param(pax_0_1("-1,1,5,2"), "invalid sparse map", id="TF-34 negative offset"),
        pytest.param(pax_0_1("0,1,5,1"), "does not add up", id="TF-34 less than the data"),
        pytest.param(pax_0_1("0,1,5,3"), "does not add up", id="TF-34 more than the data"),
        pytest.param(
            pax_0_1("", "0", b"", **{"GNU.sparse.size": "-1"}), "a file of -1 bytes", id="size -1"
        ),
        pytest.param(
            pax_0_1(**{"GNU.sparse.size": "x"}), "invalid PAX sparse size", id="size no number"
        ),
        pytest.param(
            tars.file("sp", "ABC", pax={"GNU.sparse.numblocks": "2", "GNU.sparse.map": "0,1,5,2"}),
            "invalid PAX sparse size",
            id="0.1 without a size",
        ),
        pytest.param(
            tars.file("sp", "ABC", pax={"GNU.sparse.map": "0,1,5,2", "GNU.sparse.size": "10"}),
            "another count",
            id="0.1 without a count",
        ),
        pytest.param(
            pax_0_0(pairs=[(0, 1), (5, 2), (7, 1)]), "another count", id="TF-34 0.0 another count"
        ),
        pytest.param(
            tars.file(
                "sp",
                "A",
                pax={
                    "GNU.sparse.size": "10",
                    "GNU.sparse.numblocks": "1",
                    "GNU.sparse.numbytes": "1",
                    "GNU.sparse.offset": "0",
                },
            ),
            "do not alternate",
            id="TF-34 0.0 in another order",
        ),
        pytest.param(pax_1_0(b"2\n0\n1\n"), "a line without end", id="TF-34 1.0 cut"),
        pytest.param(pax_1_0(b"3\n0\n1\n5\n2\n"), "a line without end", id="TF-34 1.0 count"),
        pytest.param(
            tars.padded(pax_1_0(b"200\n" + b"0\n0\n" * 127, b"")),
            "longer than its file",
            id="TF-34 1.0 cut at a block",
        ),
        pytest.param(pax_1_0(b"x\n"), "invalid PAX sparse count", id="1.0 no number"),
        pytest.param(pax_1_0(b"-1\n"), "sparse map of more than", id="1.0 negative count"),
        pytest.param(pax_1_0(b"9" * 400), "a line without end", id="1.0 without lines"),
        pytest.param(
            pax_1_0(b"999999999\n"), "sparse map of more than", id="TF-35 SE-24 a huge count"
        ),
        pytest.param(
            pax_1_0(b"0\n", b"", **{"GNU.sparse.realsize": ""}), "a file of -1", id="1.0 no size"
        ),
        pytest.param(
            pax_0_1(**{"GNU.sparse.major": "2", "GNU.sparse.minor": "0"}),
            "unknown sparse format 2.0",
            id="an unknown version",
        ),
        pytest.param(
            tars.gnu_sparse("sp", [(5, 2), (0, 1)], 10, b"ABC"), "invalid sparse map", id="old GNU"
        ),
        pytest.param(
            tars.gnu_sparse("sp", [], -5, b""), "a file of -5 bytes", id="old GNU negative size"
        ),
    ],
)
def test_impossible_maps_are_refused(entry, why):
    """TF-34: a map that is out of order, too long, or not about this data is an error."""
    with pytest.raises(ArchiveError) as caught:
        entries_of(tars.archive(entry))

    assert why in str(caught.value)


def test_a_map_that_ends_with_the_archive_is_refused():
    """An old GNU header that promises extension blocks after the end is a cut archive."""
    whole = tars.gnu_sparse("sp", [(2 * n, 1) for n in range(9)], 20, b"x" * 9)

    with pytest.raises(ArchiveError, match="cut off"):
        entries_of(whole[:512])


def test_the_number_of_extents_has_a_limit(monkeypatch):
    """TF-35: a map cannot be longer than `EXTENT_LIMIT`, in any form."""
    monkeypatch.setattr(sparse, "EXTENT_LIMIT", 40)
    pairs = [(2 * number, 1) for number in range(100)]
    numbers = ",".join(f"{offset},{length}" for offset, length in pairs)
    long = {"GNU.sparse.size": "200"}

    for entry in (
        tars.gnu_sparse("sp", pairs, 200, b"x" * 100),
        pax_0_0("200", "100", pairs, b"x" * 100),
        pax_0_1(numbers, "100", b"x" * 100, **long),
        many(100),
    ):
        with pytest.raises(ArchiveError, match="sparse map of more than 40 extents"):
            entries_of(tars.archive(entry))


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"5", b"6"])
def test_only_files_are_sparse(kind):
    """Sparse records before anything but a file do not matter."""
    entry = tars.header(
        "x",
        kind,
        link="t",
        device=(1, 3),
        pax={"GNU.sparse.size": "10", "GNU.sparse.numblocks": "0", "GNU.sparse.map": "0"},
    )

    (found,) = entries_of(tars.archive(entry))

    assert (found.size, found.data, found.extents) == (0, 0, None)


@given(
    st.lists(st.tuples(st.integers(-5, 50), st.integers(-5, 20)), max_size=6), st.integers(-5, 90)
)
def test_checked_maps_are_in_order(pairs, real):
    """A map that passes lies within the file, in order, without overlap and without empty extents."""
    try:
        extents = sparse.checked(pairs, real)
    except ArchiveError:
        return
    assert sum(extent.size for extent in extents) == sum(size for _, size in pairs)
    assert all(extent.offset >= 0 and extent.size > 0 for extent in extents)
    assert all(one.offset + one.size <= other.offset for one, other in pairwise(extents))
    assert not extents or extents[-1].offset + extents[-1].size <= real


def test_extents_are_values():
    """A checked map is a tuple of extents."""
    assert sparse.checked([(0, 1), (1, 0), (5, 2)], 10) == (Extent(0, 1), Extent(5, 2))


GNU_TAR = {
    "oldgnu": ["--format=oldgnu"],
    "gnu": ["--format=gnu"],
    "posix 0.0": ["--format=posix", "--sparse-version=0.0"],
    "posix 0.1": ["--format=posix", "--sparse-version=0.1"],
    "posix 1.0": ["--format=posix", "--sparse-version=1.0"],
}
PAGE = 1 << 16


@pytest.fixture(scope="module")
def sparse_tree(tmp_path_factory):
    """A folder of files with holes: before, between and behind their data, and nothing else."""
    folder = tmp_path_factory.mktemp("sparse")
    shapes = {
        "hole": (0,),
        "front": (0, PAGE),
        "middle": (PAGE, 0, PAGE),
        "end": (PAGE, 0),
        "many": (PAGE, 0) * 30,
        "odd": (0, 1000, 0, 3),
    }
    for name, lengths in shapes.items():
        with (folder / name).open("wb") as file:
            for number, length in enumerate(lengths):
                file.write(bytes([65 + number % 26]) * length)
                file.seek(PAGE - length, 1)
            file.truncate()
            file.truncate(PAGE * len(lengths))
    return folder


@pytest.mark.parametrize("options", GNU_TAR.values(), ids=GNU_TAR)
def test_sparse_files_of_gnu_tar_are_read(options, sparse_tree, tmp_path):
    """TF-41: what GNU tar writes with `--sparse` in each version is the tree it was given."""
    path = tmp_path / "sparse.tar"
    subprocess.run(["tar", "-S", *options, "-cf", path, "-C", sparse_tree, "."], check=True)
    tar = path.read_bytes()

    tree = merged([tar])

    assert (
        trees.differences(_seconds(trees.scan(sparse_tree)), _seconds(scan_of(tree, [tar]))) == []
    )
    assert any(entry.extents for entry in entries_of(tar))


def _seconds(scan):
    """The scan with times in whole seconds, as most formats keep them."""
    return {
        path: replace(attributes, mtime=attributes.mtime // 10**9)
        for path, attributes in scan.items()
    }
