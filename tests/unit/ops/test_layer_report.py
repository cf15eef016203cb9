"""What layers weigh, change and lose, the same for an image here and in a registry."""

from __future__ import annotations

import pytest
from support import tars
from support.lookers import bring, looker
from support.registry import TestRegistry

from layerkit.ops.layer_report import layer_changes, layer_rows

FOLDER = (tars.directory("d"), tars.directory("e"))
LAYERS = (
    (
        *FOLDER,
        tars.file("d/replaced", b"x" * 10),
        tars.file("d/deleted", b"x" * 20),
        tars.file("e/a", b"x" * 40),
        tars.file("e/b", b"x" * 80),
        tars.file("kept", b"x" * 160),
        tars.file("two", b"x" * 320),
        tars.hardlink("names", "two"),
        tars.file("linked", b"x" * 640),
        tars.file("same", b"x" * 5),
        tars.file("touched", b"x" * 7),
        tars.gnu_sparse("sparse", [(0, 1)], 1000, b"x"),
    ),
    (
        *FOLDER,
        tars.file("d/replaced", b"y" * 11),
        tars.whiteout("d/deleted"),
        tars.whiteout("e"),
        tars.whiteout("two"),
        tars.hardlink("other", "linked"),
        tars.file("same", b"x" * 5),
        tars.file("touched", b"y" * 7),
        tars.gnu_sparse("sparse", [(0, 1)], 1000, b"x"),
    ),
    (tars.whiteout("linked"), tars.file("d", "a file now"), tars.whiteout("nothing")),
)


@pytest.fixture(scope="module")
def registry():
    """A registry with the image, `app:1`."""
    with TestRegistry() as running:
        running.image = running.add_image("app", "1", [tars.archive(*each) for each in LAYERS])
        yield running


@pytest.fixture(params=["here", "remote"])
def image(request, registry, state_root):
    """The image, from the store or from the registry."""
    name = f"{registry.host}/app:1"
    if request.param == "here":
        bring(state_root, name)
    with looker(state_root) as found:
        yield found.image(name, comparable=True)


def test_rows_have_what_the_manifest_and_the_archives_say(registry, image):
    """Digest and size are those of the blob, the diffID is the config's, all entries count."""
    rows = layer_rows(image)

    assert [row.number for row in rows] == [1, 2, 3]
    assert [(row.blob, row.blob_size) for row in rows] == [
        (layer.digest, layer.size) for layer in registry.image.layers
    ]
    assert [str(row.diff_id) for row in rows] == list(registry.image.diff_ids)
    assert [row.entries for row in rows] == [13, 10, 3]
    assert [row.size for row in rows] == [2282, 1023, 10]


def test_wasted_is_what_no_layer_above_shows(image):
    """Replaced, deleted and hidden files count once; one that keeps another name does not."""
    gone_from_base = 10 + 20 + 40 + 80 + 5 + 7 + 1000
    gone_from_second = 11

    assert [row.wasted for row in layer_rows(image)] == [gone_from_base, gone_from_second, 0]


def shown(image, number):
    """The changes of a layer as lines with sizes."""
    return [
        f"{each.change.letter} {each.change.path.decode()} {each.size}"
        for each in layer_changes(image, number)
    ]


def test_the_lowest_layer_adds_all(image):
    """Compared with nothing, every name is an addition."""
    assert shown(image, 1) == [
        "A d 0",
        "A d/deleted 20",
        "A d/replaced 10",
        "A e 0",
        "A e/a 40",
        "A e/b 80",
        "A kept 160",
        "A linked 640",
        "A names 320",
        "A same 5",
        "A sparse 1000",
        "A touched 7",
        "A two 320",
    ]


def test_a_layer_is_compared_with_the_tree_below(image):
    """Whiteouts are deletions, bytes are compared where all else is the same, and marks that hide
    nothing are no change.
    """
    assert shown(image, 2) == [
        "C d 0",
        "D d/deleted 20",
        "C d/replaced 11",
        "C e 0",
        "D e/a 40",
        "D e/b 80",
        "A other 640",
        "C touched 7",
        "D two 320",
    ]


def test_a_deletion_is_as_large_as_what_was_there(image):
    """A folder that a file replaces, and a name of a file that has others, are one line each."""
    assert shown(image, 3) == ["C d 10", "D linked 640"]


def test_the_reasons_are_told(image):
    """A change says what differs."""
    reasons = {each.change.path: each.change.why for each in layer_changes(image, 2)}

    assert reasons[b"touched"] == ("content",)
    assert reasons[b"d/replaced"] == ("content",)
    assert reasons[b"d"] == ("below",)


def test_an_image_without_layers_has_no_rows(registry, state_root):
    """There is nothing to tell, and no error."""
    registry.add_image("none", "1", [])

    with looker(state_root) as found:
        assert layer_rows(found.image(f"{registry.host}/none:1")) == []


def test_a_deleted_folder_weighs_what_was_in_it(registry, state_root):
    """The size of one deletion is that of all files below, each once."""
    layers = [
        tars.archive(
            tars.directory("d"),
            tars.file("d/a", b"x" * 3),
            tars.hardlink("d/b", "d/a"),
            tars.file("d/c", b"x" * 4),
        ),
        tars.archive(tars.whiteout("d")),
    ]
    registry.add_image("folder", "1", layers)

    with looker(state_root) as found:
        assert shown(found.image(f"{registry.host}/folder:1"), 2) == ["D d 7"]
