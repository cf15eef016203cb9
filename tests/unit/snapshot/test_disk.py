"""A tree is written with all that it says, and never outside of its directory."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import disks, layer_cases
from support.listing import entries_of, merged, scan_of
from support.processes import NOBODY, outcome
from support.tars import (
    archive,
    block,
    character,
    directory,
    fifo,
    file,
    gnu_sparse,
    hardlink,
    pax,
    symlink,
)
from support.trees import differences, scan

from layerkit.errors import IntegrityError, StoreError, StoreFullError
from layerkit.layer import merge
from layerkit.snapshot import delta, disk, fill
from layerkit.store.files import remove_tree
from layerkit.tree import Entry, Kind, empty

CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")  # cap_net_raw+ep


@contextmanager
def opened(folder):
    """The descriptor of a directory, made first."""
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def write_tree(folder, tree, *tars):
    """Write a flat tree whose files lie in `tars`; what could not be kept."""
    descriptors = [os.memfd_create("tar") for _ in tars]
    try:
        for descriptor, tar in zip(descriptors, tars, strict=True):
            os.pwrite(descriptor, tar, 0)
        with opened(folder) as root:
            return disk.write(root, delta.flat(tree), fill.from_tars(descriptors.__getitem__))
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def write(folder, *tars):
    """Write what these archives show; what could not be kept."""
    return write_tree(folder, merged(tars), *tars)


def long_name(path):
    """A file with a name that needs an extended header."""
    return pax({"path": path}) + file("x", "content")


@pytest.mark.root
@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([file("f", "text", mode=0o640, uid=7, gid=8)], id="file"),
        pytest.param([file("f", "")], id="empty-file"),
        pytest.param([file("f", os.urandom(3_000_000))], id="large-file"),
        pytest.param([file("f", "x", mode=0o4755, uid=7, gid=8)], id="setuid-of-another-user"),
        pytest.param([file("f", "x", mode=0o2755, gid=8)], id="setgid"),
        pytest.param([file("f", "x", mode=0)], id="no-rights"),
        pytest.param([file("f", "x", uid=2**32 - 2, gid=3_000_000)], id="large-ids"),
        pytest.param([directory("d/", 0o1777), file("d/f", "x")], id="sticky-folder"),
        pytest.param([directory("d/", 0o2750, gid=8), file("d/f", "x")], id="setgid-folder"),
        pytest.param([directory("d/", 0), file("d/f", "x")], id="closed-folder"),
        pytest.param([directory("./", 0o711, uid=7, mtime=5), file("f", "x")], id="root-entry"),
        pytest.param([symlink("s", "nowhere", uid=7, mtime=5)], id="dangling-symlink"),
        pytest.param([symlink("s", "t" * 90 + "/" + "u" * 9)], id="long-target"),
        pytest.param([fifo("p", mode=0o622)], id="fifo"),
        pytest.param([character("c", 1, 3, mode=0o666, uid=7)], id="character-device"),
        pytest.param([block("b", 4095, 1_048_575, mode=0o660, gid=8)], id="block-device"),
        pytest.param([file("f", "x"), hardlink("h", "f"), hardlink("i", "f")], id="hard-links"),
        pytest.param([symlink("s", "x"), hardlink("h", "s")], id="hard-link-to-a-symlink"),
        pytest.param([fifo("p"), hardlink("h", "p")], id="hard-link-to-a-fifo"),
        pytest.param([character("c", 1, 3), hardlink("h", "c")], id="hard-link-to-a-device"),
        pytest.param([directory("d/"), file("f"), hardlink("d/h", "f")], id="hard-link-elsewhere"),
        pytest.param([file("f", "x", mtime=-5)], id="before-1970"),
        pytest.param([file("f", "x", pax={"mtime": "1234567890.123456789"})], id="nanoseconds"),
        pytest.param(
            [directory("d/", pax={"mtime": "5.000000001"}), file("d/f"), symlink("d/s", "f")],
            id="time-of-a-folder-after-its-content",
        ),
        pytest.param(
            [
                file("f", "x", pax={"SCHILY.xattr.user.k": b"\0v"}),
                directory("d/", pax={"SCHILY.xattr.user.k": "v"}),
            ],
            id="xattrs",
        ),
        pytest.param(
            [
                file(
                    "f",
                    "x",
                    uid=7,
                    mode=0o755,
                    pax={"SCHILY.xattr.security.capability": CAPABILITY},
                )
            ],
            id="capabilities-outlive-the-owner",
        ),
        pytest.param(
            [symlink("s", "x", pax={"SCHILY.xattr.trusted.k": "v"})], id="xattr-of-a-symlink"
        ),
        pytest.param([file(b"\xff\xfe\n", "x"), file("ü ñ", "x")], id="names-of-any-bytes"),
        pytest.param([long_name("n" * 255)], id="name-of-255-bytes"),
        pytest.param(
            [long_name("/".join(["m" * 255] * 15 + ["f" * 55]))], id="path-of-3,895-bytes"
        ),
        pytest.param([gnu_sparse("f", [(0, 3), (70_000, 3)], 1_000_000, b"abcdef")], id="sparse"),
    ],
)
def test_every_kind_of_entry_is_written_with_all_its_attributes(tmp_path, entries):
    """Names, types, bytes, modes, owners, times, xattrs and link groups are those of the tree."""
    tar = archive(*entries)

    skipped = write(tmp_path / "root", tar)

    assert differences(scan_of(merged([tar]), [tar]), scan(tmp_path / "root")) == []
    assert not skipped


@pytest.mark.root
@pytest.mark.parametrize("case", layer_cases.params(layer_cases.TREES))
def test_known_stacks_are_written_as_they_show(tmp_path, case):
    """The layers that other tools get wrong are the wanted tree on the disk, too."""
    skipped = write(tmp_path / "root", *case.layers)

    wanted = scan_of(merged(case.layers), case.layers)
    assert differences(wanted, scan(tmp_path / "root")) == []
    assert not skipped


@pytest.mark.root
def test_setuid_and_capabilities_survive_the_change_of_owner(tmp_path):
    """chown takes both away, so they are set after it."""
    tar = archive(
        file(
            "f",
            "x" * 100,
            mode=0o6755,
            uid=7,
            gid=8,
            pax={"SCHILY.xattr.security.capability": CAPABILITY},
        )
    )

    write(tmp_path / "root", tar)

    status = (tmp_path / "root/f").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o6755, 7)
    assert os.getxattr(tmp_path / "root/f", "security.capability") == CAPABILITY


def test_holes_stay_holes(tmp_path):
    """A sparse file takes the room of its data, wherever the data lies and with none at all."""
    size = 1 << 30
    ends = archive(gnu_sparse("f", [(0, 3), (size - 3, 3)], size, b"abcdef"))
    nothing = archive(gnu_sparse("g", [(size, 0)], size, b""))

    write(tmp_path / "root", ends, nothing)

    for name in "fg":
        status = (tmp_path / "root" / name).stat()
        assert status.st_size == size
        assert status.st_blocks * 512 < 1 << 20
    with (tmp_path / "root/f").open("rb") as content:
        assert content.read(4) == b"abc\0"
        content.seek(-4, os.SEEK_END)
        assert content.read() == b"\0def"


@pytest.mark.parametrize(
    ("levels", "name"), [(1500, "n"), (15, "n" * 255)], ids=["1,500-levels", "4,095-bytes"]
)
def test_the_deepest_trees_are_written(tmp_path, levels, name):
    """The depth of a tree is limited by the length of a path alone."""
    folder = "/".join([name] * levels).encode()
    path = folder + b"/" + b"f" * min(255, 4094 - len(folder))
    tree = merge.apply(empty(), [Entry(path, Kind.FILE, seconds=5)], 0)

    write_tree(tmp_path / "root", tree, b"")

    below = os.open(tmp_path / "root", os.O_RDONLY)
    for _ in range(levels):
        above, below = below, os.open(name, os.O_RDONLY, dir_fd=below)
        os.close(above)
    assert os.stat(path.rpartition(b"/")[2], dir_fd=below).st_mtime == 5
    os.close(below)
    remove_tree(tmp_path / "root", tmp_path)  # too deep for whoever cleans up after the test


def test_many_names_of_one_file(tmp_path):
    """A group may have as many names as it likes, up to what the file system takes."""
    tar = archive(file("f", "x"), *(hardlink(f"h{number}", "f") for number in range(1000)))

    write(tmp_path / "root", tar)

    assert (tmp_path / "root/h999").stat().st_nlink == 1001


@pytest.mark.root
def test_more_names_than_the_file_system_takes_is_an_error(tmp_path):
    """HL-20: ext4 has 65,000; the error says what the matter is."""
    entries = [Entry(b"f", Kind.FILE)]
    entries += [Entry(b"h%d" % number, Kind.HARDLINK, link=b"f") for number in range(65_000)]
    tree = merge.apply(empty(), entries, 0)
    with (
        disks.small_ext4(tmp_path, 16 << 20) as place,
        pytest.raises(StoreError, match="more hard links than"),
    ):
        write_tree(place / "root", tree, b"")


@pytest.mark.root
def test_a_delta_for_overlayfs_has_whiteouts(tmp_path):
    """A hidden name is a character device 0:0 in its folder, which keeps its time."""
    tars = [archive(directory("d/", mtime=5), file("d/a"), file("b"))]
    lower = merged(tars)
    tree = merge.apply(lower, [Entry(b"d/a", Kind.WHITEOUT), Entry(b"b", Kind.WHITEOUT)], 1)

    with opened(tmp_path / "root") as root:
        disk.write(root, delta.between(lower, tree), fill.from_tars([].__getitem__))

    found = scan(tmp_path / "root")
    assert set(found) == {b"", b"b", b"d", b"d/a"}
    assert {(found[path].kind, found[path].device) for path in (b"b", b"d/a")} == {
        ("character device", (0, 0))
    }
    assert found[b"d"].mtime == 5 * 10**9


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_a_tar_that_is_too_short_is_an_error(tmp_path, size):
    """A file is never written with less than its index promises."""
    tar = archive(file("f", "x" * 10_000))

    with pytest.raises(IntegrityError, match="shorter than its index says"):
        write_tree(tmp_path / "root", merged([tar]), tar[: 512 + size])


@pytest.mark.parametrize(
    ("planted", "entries"),
    [
        pytest.param("d", [directory("d/", 0o777), file("d/f")], id="folder"),
        pytest.param("d", [file("d/f")], id="implied-folder"),
        pytest.param("f", [file("f", "attack", mode=0o777)], id="file"),
        pytest.param("s", [symlink("s", "attack")], id="symlink"),
        pytest.param("p", [fifo("p", mode=0o777)], id="fifo"),
        pytest.param("h", [file("f"), hardlink("h", "f")], id="hard-link"),
    ],
)
@pytest.mark.parametrize("target", ["victim", "victim/file"], ids=["folder", "file"])
def test_a_planted_symlink_is_never_followed(tmp_path, planted, entries, target):
    """What another process puts in the way ends the writing; where it leads, nothing changes."""
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim/file").write_text("precious")
    before = scan(tmp_path / "victim")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / planted).symlink_to(tmp_path / target)

    with pytest.raises(StoreError, match="file exists"):
        write(tmp_path / "root", archive(*entries))

    assert differences(before, scan(tmp_path / "victim")) == []


class Meddler(dict):
    """Nodes that are handed out one by one; before the one called `at`, something happens."""

    def __init__(self, nodes, at, act):
        super().__init__(nodes)
        self._at = at
        self._act = act

    def items(self):
        """The nodes in order."""
        for path, node in super().items():
            if path == self._at:
                self._act()
            yield path, node


def swap(folder, target):
    """Put a symlink where a folder is."""

    def act():
        folder.rename(folder.with_name("away"))
        folder.symlink_to(target)

    return act


@pytest.mark.parametrize("at", [b"d/e/f", b"d/h"], ids=["before-a-file", "before-a-link"])
def test_a_folder_swapped_for_a_symlink_is_not_entered(tmp_path, at):
    """A folder that becomes a symlink between two steps leads nobody outside."""
    (tmp_path / "victim/e").mkdir(parents=True)
    before = scan(tmp_path / "victim")
    tar = archive(file("a"), directory("d/e/"), file("d/e/f"), hardlink("d/h", "a"))
    change = delta.flat(merged([tar]))
    swapped = swap(tmp_path / "root/d", tmp_path / "victim")
    meddled = delta.Delta(change.directories, Meddler(change.others, at, swapped))
    source = os.memfd_create("tar")
    os.pwrite(source, tar, 0)

    with opened(tmp_path / "root") as root, pytest.raises(StoreError, match="cannot write"):
        disk.write(root, meddled, fill.from_tars(lambda _: source))

    os.close(source)
    assert differences(before, scan(tmp_path / "victim")) == []


def test_an_error_names_the_entry_and_escapes_it(tmp_path):
    """Which entry failed is said, without control characters."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / os.fsdecode(b"\x1b[31m\xff")).touch()

    with pytest.raises(StoreError, match=r"x1b\[31m") as raised:
        write(tmp_path / "root", archive(file(b"\x1b[31m\xff")))

    assert raised.value.message.isprintable()


@pytest.mark.root
@pytest.mark.parametrize(
    "entries",
    [[file("f", bytes(8 << 20))], [directory(f"d{number}/") for number in range(5000)]],
    ids=["content", "names"],
)
def test_a_full_disk_is_an_error_of_its_own(tmp_path, entries):
    """No room left for content or for names is told as such."""
    with (
        disks.small_ext4(tmp_path, 4 << 20) as place,
        pytest.raises(StoreFullError, match="no space left"),
    ):
        write(place / "root", archive(*entries))


def test_an_error_leaves_no_open_file(tmp_path):
    """Whether it ends well or not, every descriptor is closed."""
    before = len(os.listdir("/proc/self/fd"))
    tar = archive(directory("d/e/"), file("d/e/f", "x"), hardlink("h", "d/e/f"), fifo("p"))
    write(tmp_path / "good", tar)
    for planted in ("d", "d/e/f", "h", "p"):
        folder = tmp_path / planted.replace("/", "-")
        (folder / planted).parent.mkdir(parents=True)
        (folder / planted).touch()
        with pytest.raises(StoreError):
            write(folder, tar)

    assert len(os.listdir("/proc/self/fd")) == before


def test_without_privileges_what_can_be_kept_is_kept(tmp_path):
    """Owners and devices are counted, everything else is there."""
    tar = archive(
        file("f", "text", mode=0o640, uid=12_345, gid=12_345, mtime=5),
        file("own", "text", mode=0o4755),
        directory("d/", 0o555, uid=12_345),
        file("d/g", "x", uid=12_345),
        symlink("s", "f", uid=12_345),
        character("c", 1, 3),
        block("b", 1, 3),
        fifo("p"),
        hardlink("h", "f", mode=0o640, uid=12_345, gid=12_345, mtime=5),
        hardlink("i", "c"),
        file("x", "x", pax={"SCHILY.xattr.security.capability": CAPABILITY}),
        file("u", "x", pax={"SCHILY.xattr.user.k": "v"}),
    )

    def work():
        skipped = write(Path("root"), tar)
        counts = skipped.counts
        assert (counts["device"], counts["xattr"]) == (3, 1), skipped
        assert counts["owner"] + counts["recorded"] >= 4, skipped

    os.chmod(tmp_path, 0o777)
    assert outcome(work, uid=NOBODY, folder=tmp_path) == 0
    found = scan(tmp_path / "root")
    assert set(found) == {b"", b"f", b"own", b"d", b"d/g", b"s", b"p", b"h", b"x", b"u"}
    assert (found[b"f"].mode, found[b"f"].mtime, found[b"d"].mode) == (0o640, 5 * 10**9, 0o555)
    assert found[b"f"].links == {b"f", b"h"}
    assert ("user.k", b"v") in found[b"u"].xattrs
    (tmp_path / "root/d").chmod(0o755)


@pytest.mark.root
def test_closed_folders_are_written_by_their_owner(tmp_path):
    """Rights of the image do not keep a user without privileges from writing what is inside."""
    entries = [directory("d/", 0o000), directory("d/e/", 0o111), file("d/e/f", "x", mode=0)]

    assert (
        outcome(lambda: write(Path("root"), archive(*entries)), uid=NOBODY, folder=_open(tmp_path))
        == 0
    )
    assert set(scan(tmp_path / "root")) == {b"", b"d", b"d/e", b"d/e/f"}


def _open(folder):
    folder.chmod(0o777)
    return folder


def test_entries_are_what_the_reader_gives(tmp_path):
    """An archive that is read and written has every entry: nothing is lost between the two."""
    tar = archive(*(file(f"d{number % 7}/f{number}", f"{number}") for number in range(500)))

    write(tmp_path / "root", tar)

    assert len(entries_of(tar)) == 500
    assert {path.name for path in (tmp_path / "root").glob("*/*")} == {f"f{n}" for n in range(500)}
