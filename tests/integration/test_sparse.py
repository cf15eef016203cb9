"""Holes of an image's files stay holes, whichever way they go; only an export has zeros in their place."""

from __future__ import annotations

import os
import subprocess

import pytest
from support import tars
from support.homes import layered
from support.listing import content, entries_of
from support.lookers import make_container

from layerkit.ops.home import Home
from layerkit.ops.images import find_image

MIB = 1 << 20
SIZE = 40 * MIB
DATA = {0: b"begin", 10 * MIB: b"m" * 70_000, SIZE - 3: b"end"}
FORMS = ["gnu", "pax 0.0", "pax 0.1", "pax 1.0"]


def data_of(path):
    """The runs of a file that are no holes: (start, end), as the file system has them."""
    runs, end = [], 0
    with path.open("rb") as file:
        while True:
            try:
                start = os.lseek(file.fileno(), end, os.SEEK_DATA)
            except OSError:  # only a hole is left
                return runs
            end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            runs.append((start, end))


def make_sparse(path):
    """A file with data at its ends and in its middle, and its bytes."""
    with path.open("wb") as file:
        file.truncate(SIZE)
        for offset, data in DATA.items():
            file.seek(offset)
            file.write(data)
    return path.read_bytes()


@pytest.fixture(params=FORMS)
def image(request, cli, tmp_path):
    """An image with a sparse file as GNU tar packs it; gives the file and its bytes."""
    source = tmp_path / "source"
    source.mkdir()
    whole = make_sparse(source / "sparse")
    if data_of(source / "sparse") == [(0, SIZE)]:
        pytest.skip("the file system of the tests has no holes")
    kind, _, version = request.param.partition(" ")
    options = [f"--sparse-version={version}", "--format=pax"] if version else ["--format=gnu"]
    tar = tmp_path / "layer.tar"
    subprocess.run(["tar", "-S", "-c", *options, "-f", tar, "-C", source, "sparse"], check=True)
    assert tar.stat().st_size < MIB, kind
    tars.oci_layout(tmp_path / "layout", [tar])
    assert cli("load", "-q", "-i", tmp_path / "layout").code == 0
    return source / "sparse", whole


def assert_same(path, image):
    """The file has the same bytes and holes as the one that was packed."""
    source, whole = image
    assert path.read_bytes() == whole
    assert data_of(path) == data_of(source)


@pytest.mark.debian("tar")
def test_unpack_keeps_holes(image, cli, tmp_path):
    """The file takes the room of its data."""
    assert cli("unpack", "layout:test", tmp_path / "root").code == 0

    assert_same(tmp_path / "root/sparse", image)


@pytest.mark.root
@pytest.mark.debian("tar")
def test_a_view_keeps_holes(image, state_root):
    """What a container has below it is as sparse as the image."""
    with Home(state_root) as home:
        *_, lowest = layered(home, find_image(home, "layout:test")).lowers

    assert_same(lowest / "sparse", image)


@pytest.mark.debian("tar")
@pytest.mark.parametrize("form", ["oci-archive", "docker-archive"])
def test_save_keeps_holes(image, cli, tmp_path, form):
    """A layer is saved as it came, so neither the archive nor what is loaded of it has zeros."""
    path, elsewhere = tmp_path / "saved.tar", tmp_path / "elsewhere"
    assert cli("save", "--format", form, "-o", path, "layout:test").code == 0
    assert path.stat().st_size < MIB

    assert cli("--root", elsewhere, "load", "-q", "-i", path).code == 0

    assert cli("--root", elsewhere, "unpack", "layout:test", tmp_path / "root").code == 0
    assert_same(tmp_path / "root/sparse", image)


@pytest.mark.root
@pytest.mark.debian("tar")
def test_an_export_has_zeros_for_holes(image, cli, state_root, tmp_path):
    """A plain file is what every reader of a tar understands, so the image and the upper give one."""
    upper = make_container(state_root, "layout:test", "try")
    mine = make_sparse(upper / "mine")
    path = tmp_path / "export.tar"

    assert cli("export", "-o", path, "try").code == 0

    tar = path.read_bytes()
    found = {entry.path: entry for entry in entries_of(tar)}
    for name, wanted in ((b"sparse", image[1]), (b"mine", mine)):
        assert found[name].extents is None
        assert content(tar, found[name]) == wanted
