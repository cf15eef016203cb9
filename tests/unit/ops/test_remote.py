"""An image in a registry is read as far as it must be, checked as far as it was, and not kept."""

from __future__ import annotations

import random
import threading
from dataclasses import replace

import pytest
from support import stores, tars
from support.listing import scan_of
from support.lookers import bring, looker
from support.registry import cut, ignore_range, status, wrong_bytes

from layerkit.errors import ArchiveError, IntegrityError, NotFoundError, UnavailableError
from layerkit.limits import DEFAULT, Limits
from layerkit.ops.cat import cat
from layerkit.ops.ls import ls

MIB = 1 << 20
BIG = random.Random(1).randbytes(24 * MIB)  # no compression makes it smaller
ETC = tars.directory("etc")
BASE = tars.archive(ETC, tars.file("etc/motd", "base\n"), tars.file("big", b"x" * 3 * MIB))


@pytest.fixture
def add(registry):
    """Puts an image of these layers there, lowest first; its name, and its blobs' paths."""

    def put(*layers, **options):
        image = registry.add_image("app", "1", layers, **options)
        return f"{registry.host}/app:1", [f"/v2/app/blobs/{each.digest}" for each in image.layers]

    return put


def read(root, name, path):
    """The bytes of one file."""
    with looker(root) as found:
        return b"".join(cat(found.find(name), path.encode()))


def transfers(registry):
    """The path of each request for a layer, and the bytes sent to it."""
    blobs = [each for each in registry.requests if "/blobs/" in each.path]
    return [(each.path, each.sent) for each in blobs[1:]]  # the first is the config


@pytest.mark.parametrize("compression", ["gzip", "zstd", ""])
def test_no_layer_below_the_file_is_read(registry, add, state_root, compression):
    """The top layer comes once and whole, those below not at all."""
    top = tars.archive(ETC, tars.file("etc/motd", "top\n"), tars.file("big", BIG[:MIB]))
    name, (_, blob) = add(BASE, top, compression=compression)

    assert read(state_root, name, "/etc/motd") == b"top\n"

    assert [path for path, _ in transfers(registry)] == [blob]


AGAIN = {
    "file": ([tars.file("a", "old"), tars.file("a", "new")], "/a"),
    "link-replaced": ([tars.file("b", "old"), tars.hardlink("a", "b"), tars.file("a", "new")], "/a"),
    "link-outlives": ([tars.file("b", "new"), tars.hardlink("a", "b"), tars.file("b", "old")], "/a"),
    "symlink-then-file": ([tars.symlink("a", "b"), tars.file("b", "old"), tars.file("a", "new")], "/a"),
    "MD-02-folder-then-file": ([ETC, tars.file("etc/a", "x"), tars.file("etc", "new")], "/etc"),
    "behind-a-symlink": ([tars.symlink("d", "etc"), tars.file("etc/a", "old"), tars.file("d/a", "new")], "/etc/a"),
    "folder-that-became-a-link": (
        [tars.file("e/a", "new"), ETC, tars.file("etc/a", "old"), tars.symlink("etc", "e")], "/etc/a"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("entries", "path"), AGAIN.values(), ids=AGAIN)
def test_the_last_entry_for_a_path_holds(add, state_root, entries, path):
    """What an entry says is believed at the end of its layer, as a pull does (decision D16)."""
    base = tars.archive(ETC, tars.file("etc/a", "below"))
    name, _ = add(base, tars.archive(*entries))

    remote = read(state_root, name, path)

    assert remote == b"new"
    bring(state_root, name)
    assert read(state_root, name, path) == remote


def test_layers_without_the_file_are_read_to_their_end_once(registry, add, state_root):
    """The search goes down to the layer with the file, and each layer is asked for once."""
    tops = [tars.archive(tars.file(f"top-{number}")) for number in range(3)]
    name, blobs = add(BASE, *tops)

    assert read(state_root, name, "/etc/motd") == b"base\n"

    assert [path for path, _ in transfers(registry)] == blobs[::-1]


@pytest.mark.parametrize(
    "mark",
    [
        (ETC, tars.whiteout("etc/motd")),
        (tars.whiteout("etc"),),
        (ETC, tars.opaque("etc")),
        (tars.opaque(""),),
        (tars.file("etc", "a file now"),),
    ],
    ids=["whiteout", "whiteout of the folder", "opaque", "opaque root", "replaced"],
)
def test_what_a_layer_hides_is_not_looked_for_below(registry, add, state_root, mark):
    """A mark over the path ends the search; the layer below is never asked for."""
    name, (_, top) = add(BASE, tars.archive(*mark))

    with pytest.raises(NotFoundError, match="no such file"):
        read(state_root, name, "/etc/motd")

    assert [path for path, _ in transfers(registry)] == [top]


def test_a_symlink_starts_the_search_again_without_a_second_transfer(registry, add, state_root):
    """What was read is remembered, and a small file that the symlinks lead to was kept."""
    base = tars.archive(
        ETC,
        tars.symlink("etc/a", "b"),
        tars.symlink("etc/b", "/etc/c"),
        tars.file("etc/c", "there\n"),
    )
    name, (below, above) = add(base, tars.archive(tars.file("x")))

    assert read(state_root, name, "/etc/a") == b"there\n"

    assert [path for path, _ in transfers(registry)] == [above, below]


def test_a_large_file_is_fetched_again(registry, add, state_root, monkeypatch):
    """What is not kept costs a second transfer, which ends behind the file."""
    monkeypatch.setattr("layerkit.ops.remote_layer.KEPT_SIZE", 1000)
    name, (blob,) = add(tars.archive(tars.file("a", b"x" * 1001), tars.file("big", BIG)))

    assert read(state_root, name, "/a") == b"x" * 1001

    (whole, part) = transfers(registry)
    assert (whole[0], part[0]) == (blob, blob)
    assert part[1] < 8 * MIB < whole[1]


def test_what_is_kept_has_a_limit(registry, add, state_root, monkeypatch):
    """Of many entries for one path only as much stays in memory as the limit allows."""
    monkeypatch.setattr("layerkit.ops.remote_layer.KEPT_SIZE", 1000)
    name, (blob,) = add(tars.archive(*(tars.file("a", b"%d" % n * 400) for n in range(9))))

    assert read(state_root, name, "/a") == b"8" * 400
    assert [path for path, _ in transfers(registry)] == [blob]


def test_a_file_that_went_by_is_fetched_again(registry, add, state_root):
    """A hard link behind its target costs a second, shorter transfer."""
    tar = tars.archive(
        tars.file("a", "content\n"),
        tars.file("between", BIG[: 2 * MIB]),
        tars.hardlink("b", "a"),
        tars.file("big", BIG),
    )
    name, (blob,) = add(tar)

    assert read(state_root, name, "/b") == b"content\n"

    assert [path for path, _ in transfers(registry)] == [blob] * 2
    assert transfers(registry)[1][1] < 12 * MIB


def test_an_undecided_path_is_what_a_pull_would_make_of_it(registry, add, state_root):
    """Where an upper layer may write through a symlink, all layers are merged."""
    base = tars.archive(
        tars.directory("usr"),
        tars.directory("usr/lib"),
        tars.symlink("lib", "usr/lib"),
        tars.file("usr/lib/x", "old\n"),
    )
    name, blobs = add(base, tars.archive(tars.file("lib/x", "new\n")))

    assert read(state_root, name, "/usr/lib/x") == b"new\n"
    assert {path for path, _ in transfers(registry)} == set(blobs)


def test_nothing_is_stored(add, state_root):
    """Afterwards the state directory has no blob, no layer, no name, and nothing left over."""
    name, _ = add(BASE)

    with looker(state_root) as found:
        image = found.image(name)
        assert image.tree() is not None

    assert list((state_root / "blobs/sha256").iterdir()) == []
    assert list((state_root / "layers").iterdir()) == []
    assert stores.faults(state_root) == []
    assert stores.partials(state_root) == []


def test_a_note_tells_where_it_comes_from(add, state_root):
    """One note for each image that is read from a registry, however many files are."""
    name, _ = add(BASE)
    notes = []

    with looker(state_root, notes) as found:
        for _ in range(2):
            list(cat(found.find(name), b"/etc/motd"))

    assert notes == [f"note: {name} is not here: it is read from the registry"]


def test_an_image_that_is_here_is_not_asked_for(registry, add, state_root):
    """After a pull nothing goes to the registry any more."""
    name, _ = add(BASE)
    bring(state_root, name)
    before = len(registry.requests)

    assert read(state_root, name, "/etc/motd") == b"base\n"
    assert len(registry.requests) == before


@pytest.mark.parametrize("also", [None, ignore_range], ids=["ranges", "no ranges"])
def test_a_broken_transfer_is_gone_on_with(registry, add, state_root, also):
    """After a break the rest comes, from where it broke off or by skipping what is known."""
    name, (blob,) = add(tars.archive(tars.file("big", BIG[: 4 * MIB])))
    registry.fault(blob, cut(MIB), times=1)
    if also:
        registry.fault(blob, also)

    assert read(state_root, name, "/big") == BIG[: 4 * MIB]
    assert [each.range != "" for each in registry.requests if each.path == blob] == [False, True]


def test_a_registry_that_stays_away_is_an_error(registry, add, state_root):
    """When no try brings anything any more, the last failure is told."""
    name, (blob,) = add(tars.archive(tars.file("big", BIG[: 4 * MIB])))
    registry.fault(blob, cut(MIB), times=1)
    registry.fault(blob, status(503))

    with pytest.raises(UnavailableError, match="503"):
        read(state_root, name, "/big")


@pytest.mark.parametrize("broken", [b"/middle", b"/last"], ids=["in a file", "on the way"])
def test_after_a_failure_the_next_question_starts_anew(registry, add, state_root, broken):
    """A layer that broke off is never taken for one that ends there."""
    large = [tars.file(each, BIG[: 2 * MIB]) for each in ("first", "middle")]
    name, (blob,) = add(tars.archive(*large, tars.file("last", "end\n")), compression="")
    registry.fault(blob, cut(3 * MIB), times=1)
    registry.fault(blob, status(404), times=1)

    with looker(state_root) as found:
        image = found.find(name)
        with pytest.raises(NotFoundError, match="blob"):
            list(cat(image, broken))
        assert b"".join(cat(image, b"/last")) == b"end\n"
        assert [entry.path for entry in image.entries(0)] == [b"first", b"middle", b"last"]


def wholly(root, name, limits=DEFAULT):
    """The paths in the root of an image, which takes all layers."""
    with looker(root, bounds=limits) as found:
        return [row.name for listing in ls(found.find(name), b"/") for row in listing.rows]


def test_a_listing_reads_all_layers(registry, add, state_root):
    """Any layer may have a name for a folder; each is asked for once and to its end."""
    name, blobs = add(BASE, tars.archive(tars.file("top"), tars.whiteout("big")))

    assert wholly(state_root, name) == [b"etc", b"top"]
    assert sorted(path for path, _ in transfers(registry)) == sorted(blobs)


@pytest.mark.parametrize("path", [b"/", b"/etc"], ids=["root", "folder"])
def test_layers_are_read_side_by_side(registry, add, state_root, path):
    """Three transfers are under way before one of them has to end; the listing is the same."""
    name, blobs = add(BASE, *(tars.archive(tars.file(f"etc/{number}")) for number in range(2)))
    all_here = threading.Barrier(3)

    def wait_for_all(request, serve):
        all_here.wait(timeout=60)
        return serve(request)

    for blob in blobs:
        registry.fault(blob, wait_for_all, times=1)

    with looker(state_root) as found:
        (listing,) = ls(found.find(name), path)

    wanted = [b"0", b"1", b"motd"] if path == b"/etc" else [b"big", b"etc"]
    assert [row.name for row in listing.rows] == wanted
    assert sorted(each for each, _ in transfers(registry)) == sorted(blobs)


def test_one_bad_layer_of_many_is_the_error(registry, add, state_root):
    """A layer that is not there ends the reading of the others, and is named."""
    name, blobs = add(BASE, *(tars.archive(tars.file(f"f{number}")) for number in range(5)))
    registry.fault(blobs[1], status(404))

    with pytest.raises(NotFoundError, match=blobs[1].rpartition("/")[2]):
        wholly(state_root, name)


def test_a_remote_tree_is_the_same_as_after_a_pull(add, state_root):
    """Both ways give the same tree, layer by layer."""
    tars_of_all = [BASE, tars.archive(ETC, tars.file("etc/x"), tars.hardlink("y", "etc/x"))]
    name, _ = add(*tars_of_all)
    with looker(state_root) as found:
        remote = found.image(name).stack()
    bring(state_root, name)
    with looker(state_root) as found:
        local = found.image(name).stack()

    for number in range(2):
        tars_so_far = tars_of_all[: number + 1]
        assert scan_of(remote[number], tars_so_far) == scan_of(local[number], tars_so_far)


def test_a_wrong_blob_is_refused_at_its_end(registry, add, state_root):
    """Who reads a layer to its end gets it verified, bytes behind the archive included."""
    padding = random.Random(2).randbytes(5000)
    name, (blob,) = add(tars.archive(tars.file("x")) + padding, compression="")
    registry.fault(blob, lambda request, serve: _changed(serve(request)))

    with pytest.raises(IntegrityError, match=r"bad layer \w{12}: wrong digest of blob"):
        wholly(state_root, name)


def _changed(reply):
    return replace(reply, body=reply.body[:-1] + b"!")


def test_a_damaged_blob_is_told_with_its_layer(registry, add, state_root):
    """What is no archive any more is an error that names the layer."""
    name, (blob,) = add(tars.archive(tars.file("x")), compression="")
    registry.fault(blob, wrong_bytes)

    with pytest.raises(ArchiveError, match=r"^bad layer \w{12}: wrong header checksum"):
        wholly(state_root, name)


def test_a_layer_with_another_diff_id_is_refused(registry, add, state_root):
    """The config's diffID is checked, as with a pull."""
    wrong = "sha256:" + "0" * 64
    name, _ = add(tars.archive(tars.file("x")), config={"rootfs": {"diff_ids": [wrong]}})

    with pytest.raises(IntegrityError, match=r"^bad layer \w{12}: wrong digest of layer"):
        wholly(state_root, name)


def test_a_layer_that_cannot_be_merged_is_refused(registry, add, state_root):
    """A hard link to nowhere is an error that names layer and entry."""
    name, _ = add(tars.archive(tars.hardlink("x", "nowhere")))

    with pytest.raises(IntegrityError, match=r"^bad layer \w{12}: hard link to 'nowhere'"):
        wholly(state_root, name)


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        ({"layer_size": 10_000}, "more than 10000 bytes unpacked"),
        ({"expansion": 2, "expansion_from": 0}, "unpack to more than 2 times"),
        ({"entries": 1}, "more than 1 entries"),
        ({"implied_folders": 1}, "more than 1 folders that only paths name"),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
)
def test_a_layer_has_limits(registry, add, state_root, limits, error):
    """CZ-20: a layer that goes on and on is given up as in a pull, and the limit's key is told."""
    name, _ = add(tars.archive(tars.file("x", bytes(20_000)), tars.file("a/b/y")))

    with pytest.raises(ArchiveError, match=f"^bad layer .* ?{error}") as caught:
        wholly(state_root, name, Limits(**limits))

    assert f"{next(iter(limits))} in [limits]" in caught.value.hint


def test_a_cut_file_is_an_error(registry, add, state_root):
    """A file that its archive does not have whole is never printed as if it were."""
    tar = tars.archive(tars.file("x", bytes(20_000)))[:10_000]
    name, _ = add(tar, compression="")

    with pytest.raises(ArchiveError, match="cut off"):
        read(state_root, name, "/x")


def test_an_image_without_layers_is_an_empty_folder(add, state_root):
    """There is nothing to read, and nothing in it."""
    name, _ = add()

    assert wholly(state_root, name) == []
    with pytest.raises(NotFoundError):
        read(state_root, name, "/x")
