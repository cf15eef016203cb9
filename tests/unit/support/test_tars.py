"""The archive language writes what other readers of tar understand."""

import hashlib
import io
import json
import tarfile

import pytest
from isal import igzip
from support import tars


def members(data):
    """The entries of an archive as Python's own reader sees them."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: member for member in archive.getmembers()}


def test_every_kind_is_read_back():
    """An archive with one entry of each kind has these kinds for another reader."""
    data = tars.archive(
        tars.directory("d", 0o700, uid=5),
        tars.file("d/f", b"abc", mode=0o4755),
        tars.symlink("s", "d/f"),
        tars.hardlink("h", "d/f"),
        tars.character("c", 1, 3),
        tars.block("b", 8, 1),
        tars.fifo("p"),
    )

    found = members(data)

    assert [found[name].type for name in ("d", "d/f", "s", "h", "c", "b", "p")] == [
        b"5", b"0", b"2", b"1", b"3", b"4", b"6",
    ]  # fmt: skip
    assert (found["d"].mode, found["d"].uid, found["d"].mtime) == (0o700, 5, tars.MTIME)
    assert (found["d/f"].mode, found["d/f"].size) == (0o4755, 3)
    assert (found["c"].devmajor, found["c"].devminor) == (1, 3)
    assert found["h"].linkname == "d/f"


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        pytest.param(tars.whiteout("d/gone"), "d/.wh.gone", id="whiteout in a folder"),
        pytest.param(tars.whiteout("gone"), ".wh.gone", id="whiteout at the root"),
        pytest.param(tars.opaque("d"), "d/.wh..wh..opq", id="opaque folder"),
        pytest.param(tars.opaque(""), ".wh..wh..opq", id="opaque root"),
    ],
)
def test_marks_are_empty_files_with_the_reserved_names(entry, name):
    """A whiteout or opaque mark is an empty regular file beside what it hides."""
    assert members(tars.archive(entry))[name].size == 0


@pytest.mark.parametrize("length", [101, 300, 990, 991, 992])
def test_pax_records_count_their_own_length(length):
    """A pax record's length is right also where its own digits make it longer."""
    name = "n" * length
    data = tars.archive(tars.file("short", pax={"path": name}))

    assert list(members(data)) == [name]


def test_gnu_long_names_and_links_are_read_back():
    """GNU's headers for long names and targets belong to the next entry."""
    name, target = "n" * 200, "t" * 300
    entry = tars.symlink("short", "short", magic=tars.GNU)
    data = tars.archive(tars.gnu_long_name(name) + tars.gnu_long_link(target) + entry)

    assert members(data)[name].linkname == target


@pytest.mark.parametrize("count", [1, 4, 5, 25, 46], ids="{} segments".format)
def test_sparse_files_have_their_holes(count):
    """A GNU sparse file is read with its segments in place, extension headers included."""
    segments = [(1024 * number, 512) for number in range(count)]
    data = tars.archive(tars.gnu_sparse("s", segments, 1024 * count, b"x" * 512 * count))

    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        content = archive.extractfile("s").read()

    assert content == (b"x" * 512 + bytes(512)) * count


@pytest.mark.parametrize("value", [0, 0o7777777, 8**7, 2**31, -1, -(2**33)])
def test_numbers_beyond_octal_use_base_256(value):
    """A time that octal cannot hold is written in GNU's binary form."""
    assert members(tars.archive(tars.file("f", mtime=value)))["f"].mtime == value


def test_patches_are_covered_by_the_checksum():
    """A patched header is still a valid one: the patch comes before the checksum."""
    assert (
        members(tars.archive(tars.file("f", patches={265: b"somebody"})))["f"].uname == "somebody"
    )


def test_a_layout_names_its_blobs_by_their_bytes(tmp_path):
    """In an OCI layout each blob has its digest as name, and each diffID is that of the tar."""
    tar = tars.archive(tars.file("f"))
    odd = tars.Blob(b"not a layer", "sha256:" + "0" * 64, tars.PLAIN_LAYER)
    plain = tmp_path / "layer.tar"
    plain.write_bytes(tar)

    digest = tars.oci_layout(
        tmp_path / "layout", [tar, plain, odd], config={"config": {"Cmd": ["sh"]}}
    )

    blobs = {blob.name: blob.read_bytes() for blob in (tmp_path / "layout/blobs/sha256").iterdir()}
    assert all(hashlib.sha256(data).hexdigest() == name for name, data in blobs.items())
    manifest = json.loads(blobs[digest.removeprefix("sha256:")])
    config = json.loads(blobs[manifest["config"]["digest"].removeprefix("sha256:")])
    first, second, third = manifest["layers"]
    diff_id = "sha256:" + hashlib.sha256(tar).hexdigest()
    assert first == second
    assert config["rootfs"]["diff_ids"] == [diff_id, diff_id, odd.diff_id]
    assert igzip.decompress(blobs[first["digest"].removeprefix("sha256:")]) == tar
    assert third["size"] == len(odd.data)
    assert config["config"] == {"Cmd": ["sh"]}
