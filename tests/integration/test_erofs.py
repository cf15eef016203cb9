"""EROFS images are what the kernel takes them for, at the limits of the format, too."""

from __future__ import annotations

import contextlib
import mmap
import os
import random

import pytest
from msgspec import structs
from support import layer_cases, random_stacks
from support.bench import Bench
from support.listing import merged, scan_of
from support.stacks import CONTENT
from support.tars import (
    archive,
    block,
    character,
    directory,
    fifo,
    file,
    hardlink,
    symlink,
    whiteout,
)
from support.trees import differences, scan

from layerkit import digest, linux, loop, mounting
from layerkit.errors import IntegrityError, StoreError
from layerkit.snapshot import kernel
from layerkit.snapshot.erofs import driver, image
from layerkit.tree import Entry, Extent, Kind, Node, empty

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(bool(kernel.obstacle("erofs")), reason="this kernel mounts no EROFS"),
]


@pytest.fixture
def bench(tmp_path):
    """The driver."""
    return Bench("erofs", tmp_path)


def check(bench, *tars):
    """The layers are shown as the merge has them."""
    with bench.shown(bench.view(*tars).look()) as place:
        assert differences(scan_of(merged(tars), tars), scan(place)) == []


@pytest.mark.parametrize(
    "case", layer_cases.params([case for case in layer_cases.TREES if case.layers])
)
def test_what_is_written_is_read_back(bench, case):
    """Without the kernel: the reader finds the tree, each file at its place in its tar."""
    stack = bench.stack(case.layers)
    tree = stack.trees()[-1]

    read = bench.driver.tree(stack, lambda _event: None)

    assert scan_of(read, case.layers) == scan_of(tree, case.layers)


def test_random_stacks_are_read_back(bench):
    """INV-1: hard links are one node again, attributes are the same."""
    size = random_stacks.CONTENT_SIZE
    pieces = (CONTENT[at : at + size] for at in range(0, len(CONTENT), size))
    blocks = b"".join(piece.ljust(512, b"\0") for piece in pieces)
    content = bench.root / "tars/content"
    content.write_bytes(blocks)
    for number in range(100):
        layers = [
            [structs.replace(entry, data=entry.data * 512 // size) for entry in layer]
            for layer in random_stacks.stack(number)
        ]
        named = [digest.of_bytes(b"%d %d" % (number, layer)) for layer in range(len(layers))]
        stack = bench.stack_of(layers, [content] * len(layers), named)
        with contextlib.suppress(IntegrityError):
            tree = stack.trees()[-1]
            read = bench.driver.tree(stack, lambda _event: None)
            tars = [blocks] * len(layers)
            assert scan_of(read, tars) == scan_of(tree, tars), f"stack {number}"


def test_of_a_sparse_file_there_is_no_reading(bench):
    """Its content is in chunks: the indexes of the layers know it better."""
    tree = empty()
    tree.children[b"f"] = Node(Entry(b"f", Kind.FILE, size=4096, extents=()), 0)
    stack = structs.replace(bench.stack([archive()]), trees=lambda: [tree])

    assert bench.driver.tree(stack, lambda _event: None) is None


LONG = "n" * 255


@pytest.mark.parametrize(
    "tar",
    [
        archive(),
        archive(*(file(f"{number:06}", b"") for number in range(3000))),
        archive(file(LONG, b"x"), directory("d" * 255), file("d" * 255 + "/" + LONG, b"y")),
        archive(file("+", b""), file("-", b""), file(".a", b""), file("\x7f", b""), file("é", b"")),
        archive(*(symlink(f"l{size}", "t" * size) for size in (1, 447, 448, 449, 512, 513, 4095))),
        archive(*(file(f"f{size}", b"x" * size) for size in (1, 511, 512, 513, 4096, 70_000))),
        archive(block("b", 259, 1_000_000), character("c", 4095, 255), fifo("p", mode=0o600)),
        archive(file("old", mtime=-1), file("new", mtime=1 << 33), file("z", mtime=0)),
        archive(file("owned", uid=4_000_000_000, gid=4_294_967_294, mode=0o7777)),
        archive(file("a", b"x"), *(hardlink(f"h{number}", "a") for number in range(300))),
    ],
    ids=[
        "nothing",
        "many",
        "long-names",
        "order",
        "links",
        "sizes",
        "devices",
        "times",
        "owners",
        "hard-links",
    ],
)
def test_every_kind_of_entry_is_read_back(bench, tar):
    """Names in every order, sizes around blocks, numbers at their ends."""
    check(bench, tar)


@pytest.mark.parametrize("length", [0, 1, 300, 500, 4000, 60_000])
def test_xattrs_of_any_size(bench, length):
    """XA-01: also across blocks; those that several files have stand once."""
    value = random.Random(length).randbytes(length).hex()[:length]
    tags = {"SCHILY.xattr.user.own": value, "SCHILY.xattr.trusted.one": "t"}
    same = {"SCHILY.xattr.user.same": "s" * 200}
    layers = (
        archive(
            file("a", pax=tags | same),
            file("b", pax=same),
            directory("c", pax=same),
            symlink("s", "a"),
        ),
    )
    check(bench, *layers)
    stack = bench.stack(layers)
    view = bench.driver.prepare(stack, lambda _event: None)
    assert view.lowers[0].image.read_bytes().count(b"s" * 200) == 1


def test_what_cannot_be_held_is_told(bench):
    """An attribute of a kind that EROFS does not know is left out with a warning, nothing else."""
    told = []
    stack = bench.stack([archive(file("a", pax={"SCHILY.xattr.system.odd": "x"}))])

    bench.driver.prepare(stack, told.append)

    assert ["system.odd of 'a'" in event.text for event in told] == [True]


def test_a_directory_of_100_000_names(bench):
    """The last one is found, and each is listed once."""
    count = 100_000
    tree = empty()
    for number in range(count):
        name = b"%d" % number
        tree.children[name] = Node(Entry(name, Kind.FILE, seconds=number), 0)
    written = bench.folder / "big.erofs"
    with written.open("xb") as opened:
        image.write(opened.fileno(), tree, [], [].__getitem__, bytes(16))
    with bench.shown(mounting.ErofsMount(written)) as place:
        assert len(set(os.listdir(place))) == count
        assert (place / str(count - 1)).stat().st_mtime == count - 1


def test_sixty_layers_are_sixty_devices(bench):
    """Content comes from each of them, and only layers with content of the tree are opened."""
    tars = [archive(file(f"f{number}", b"%d" % number * 1000)) for number in range(60)]
    check(bench, *tars, archive(whiteout("f0")))
    view = bench.view(*tars, archive(whiteout("f0")))
    assert len(view.lowers[0].devices) == 59


def test_the_same_tree_gives_the_same_image(bench, tmp_path):
    """Nothing of the time, the place or the order of a dictionary is in it."""
    tar = archive(file("b", b"x", pax={"SCHILY.xattr.user.k": "v"}), directory("a"), file("a/c"))
    one = bench.view(tar).lowers[0].image.read_bytes()
    other = Bench("erofs", tmp_path, "other").view(tar).lowers[0].image.read_bytes()

    assert one == other


def test_files_can_be_mapped_and_run(bench):
    """Pages come from the tar, and a program can be one of them."""
    script = b"#!/bin/sh\nexit 7\n"
    data = random.Random(1).randbytes(300_000)
    with bench.shown(
        bench.view(archive(file("run", script, mode=0o755), file("data", data))).look()
    ) as place:
        with (
            (place / "data").open("rb") as opened,
            mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as seen,
        ):
            assert seen[:] == data
        assert os.waitstatus_to_exitcode(os.spawnv(os.P_WAIT, place / "run", ["run"]) << 8) == 7


KIB = 1024
SPARSE = [
    pytest.param(64 * KIB, [(4 * KIB, 8 * KIB), (32 * KIB, 4 * KIB)], 0, id="pages"),
    pytest.param(64 * KIB, [(512, 1024), (5 * KIB, 512)], 0, id="blocks"),
    pytest.param(10_000, [(512, 9488)], 0, id="to-its-end"),
    pytest.param(64 * KIB, [(1, 1), (700, 3), (5000, 4000)], 0, id="anywhere"),
    pytest.param(64 * KIB, [(0, 512)], 100, id="data-anywhere"),
    pytest.param(1 << 40, [(1 << 39, 4 * KIB), ((1 << 40) - 100, 100)], 0, id="a-tebibyte"),
    pytest.param(1 << 30, [], 0, id="a-hole"),
]


@pytest.mark.parametrize(("size", "extents", "shift"), SPARSE)
def test_sparse_files_keep_their_holes(bench, size, extents, shift):
    """SF: content stands where it belongs, whether it can stay in the tar or has to be copied."""
    tar = bench.folder / "content"
    noise = random.Random(5).randbytes(64 * KIB)
    tar.write_bytes(noise)
    entry = Entry(
        b"f", Kind.FILE, size=size, data=shift, extents=tuple(Extent(*each) for each in extents)
    )
    tree = empty()
    tree.children[b"f"] = Node(entry, 0)
    path = bench.folder / "sparse.erofs"

    with tar.open("rb") as content, path.open("xb") as opened:
        written = image.write(
            opened.fileno(), tree, [len(noise)], lambda _: content.fileno(), bytes(16)
        )

    devices = tuple(tar for _ in written.layers)
    with (
        bench.shown(mounting.ErofsMount(path, devices)) as place,
        (place / "f").open("rb") as shown,
    ):
        assert os.fstat(shown.fileno()).st_size == size
        at = shift
        for offset, length in extents:
            assert os.pread(shown.fileno(), length, offset) == noise[at : at + length]
            assert os.pread(shown.fileno(), 1, offset + length) in (b"", b"\0")
            at += length
        if extents and extents[0][0]:
            assert os.pread(shown.fileno(), 1, extents[0][0] - 1) == b"\0"
    assert path.stat().st_blocks * 512 < 8 << 20


@pytest.mark.parametrize("cut", [0, 1, 511])
def test_the_end_of_a_tar_is_read(bench, cut):
    """TF-01: content at the end of an archive that was cut is there, with files and with loop devices."""
    tar = archive(file("a", b"a" * 700), file("last", b"l" * 1024))[: 512 + 1024 + 512 + 1024]
    tar = tar[: len(tar) - cut]
    entries = [Entry(b"last", Kind.FILE, size=1024 - cut, data=512 + 1024 + 512)]
    path = bench.root / "tars/cut"
    path.write_bytes(tar)
    tree = empty()
    tree.children[b"last"] = Node(entries[0], 0)
    written = bench.folder / "cut.erofs"
    with path.open("rb") as content, written.open("xb") as opened:
        made = image.write(opened.fileno(), tree, [len(tar)], lambda _: content.fileno(), bytes(16))
    root = mounting.ErofsMount(written, tuple(path for _ in made.layers))
    for named in (mounting.as_file, loop.attached):
        bench.folder.joinpath("shown").mkdir(exist_ok=True)
        mounting.mount_erofs_of(root, bench.folder / "shown", named)
        try:
            assert (bench.folder / "shown/last").read_bytes() == b"l" * (1024 - cut)
        finally:
            linux.umount2(str(bench.folder / "shown"), 0)


def test_what_cannot_be_addressed_is_refused(tmp_path):
    """More than 2 TiB of tars is too much, and the message says what else there is."""
    tree = empty()
    tree.children[b"f"] = Node(Entry(b"f", Kind.FILE, size=512, data=512), 0)
    with (
        (tmp_path / "image").open("xb") as opened,
        pytest.raises(StoreError, match="can be addressed") as caught,
    ):
        image.write(opened.fileno(), tree, [3 << 40], [].__getitem__, bytes(16))
    assert caught.value.hint == "use --driver overlay"


@pytest.mark.parametrize(
    ("release", "loops", "obstacle"),
    [
        ("6.18.44-x", False, ""),
        ("6.12", False, ""),
        ("6.11.2", True, ""),
        ("6.11.2", False, "EROFS images as files need Linux 6.12, and there are no loop devices"),
        ("6.3.0-1", True, "EROFS with blocks of 512 bytes needs Linux 6.4"),
        ("5.10", True, "EROFS with blocks of 512 bytes needs Linux 6.4"),
    ],
)
def test_old_kernels_say_why_not(tmp_path, release, loops, obstacle):
    """The driver is not chosen where its images cannot be mounted."""
    if loops:
        (tmp_path / "loop-control").touch()

    assert driver._too_old(release, tmp_path) == obstacle


def test_a_view_with_damaged_notes_is_made_again(bench):
    """What the notes of an image do not say cannot be guessed, but it can be worked out anew."""
    stack = bench.stack([archive(file("d/f"))])
    bench.driver.prepare(stack, lambda _event: None)
    (folder,) = (bench.root / "views").iterdir()
    whole = (folder / "notes").read_bytes()
    for size in range(len(whole)):
        (folder / "notes").write_bytes(whole[:size])

        tree = bench.driver.tree(stack, lambda _event: None)

        assert list(tree.children) == [b"d"]
        assert (folder / "notes").read_bytes() == whole


def test_a_damaged_image_is_no_crash(bench):
    """Whatever is wrong in it, reading it gives a tree or a clear error."""
    stack = bench.stack([archive(*(file(f"d{number}/f") for number in range(50)))])
    bench.driver.prepare(stack, lambda _event: None)
    (folder,) = (bench.root / "views").iterdir()
    whole = (folder / "image.erofs").read_bytes()
    for seed in range(50):
        damaged = bytearray(whole)
        for at in random.Random(seed).sample(range(2048, len(whole)), 200):
            damaged[at] ^= 0xFF
        (folder / "image.erofs").write_bytes(damaged)
        with contextlib.suppress(StoreError):
            tree = bench.driver.tree(stack, lambda _event: None)
            for node in tree.children.values():
                assert isinstance(node.children, dict | None)
