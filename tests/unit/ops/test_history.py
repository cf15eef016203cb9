"""The history maps the steps of a config to the layers that they made."""

from __future__ import annotations

import pytest
from support import homes, tars

from layerkit.errors import NotFoundError
from layerkit.ops.history import history

LAYERS = [
    tars.archive(tars.file("a", "x" * 100)),
    tars.archive(tars.file("b", "y" * 20), tars.hardlink("c", "b"), tars.symlink("s", "b")),
    tars.archive(tars.whiteout("a")),
]
CREATED = "2001-09-09T01:46:40Z"


def rows_of(home, tmp_path, layers, **config):
    """(created_by, size) of each row, newest first, and all rows."""
    tars.oci_layout(tmp_path / "layout", layers, name="app:1", config=config)
    homes.load(home, tmp_path / "layout", platform=homes.AMD64)
    rows = history(home, "app:1")
    return [(row.created_by, row.size) for row in rows], rows


def test_steps_without_a_layer_are_passed_over(home, tmp_path):
    """DG-25: a step that is empty takes no layer's size."""
    steps = [
        {"created_by": "ADD a", "created": CREATED},
        {"created_by": "ENV x", "empty_layer": True},
        {"created_by": "RUN b", "comment": "buildkit"},
        {"created_by": "LABEL y", "empty_layer": True},
        {"created_by": "RUN rm a"},
        {"created_by": "CMD sh", "empty_layer": True},
    ]

    found, rows = rows_of(home, tmp_path, LAYERS, history=steps)

    assert found == [
        ("CMD sh", 0), ("RUN rm a", 0), ("LABEL y", 0), ("RUN b", 20), ("ENV x", 0), ("ADD a", 100),
    ]  # fmt: skip
    assert (rows[3].comment, rows[5].created) == ("buildkit", CREATED)


def test_the_newest_step_has_the_id_of_the_image(home, tmp_path):
    """All others are missing, as docker has it."""
    steps = [{"created_by": f"{number}"} for number in range(3)]

    _, rows = rows_of(home, tmp_path, LAYERS, history=steps)

    (image,) = home.store.database.images()
    assert [row.id for row in rows] == [str(image.config), "<missing>", "<missing>"]


def test_layers_without_a_step(home, tmp_path):
    """An image without a history has one row a layer, dated as the image."""
    found, rows = rows_of(home, tmp_path, LAYERS, created=CREATED)

    assert found == [("", 0), ("", 20), ("", 100)]
    assert {row.created for row in rows} == {CREATED}


def test_more_steps_than_layers(home, tmp_path):
    """A history that claims layers which are not there shows them as empty."""
    steps = [{"created_by": f"{number}"} for number in range(3)]

    found, _ = rows_of(home, tmp_path, LAYERS[:1], history=steps)

    assert found == [("2", 0), ("1", 0), ("0", 100)]


def test_an_image_of_nothing(home, tmp_path):
    """No layers, no steps, no rows."""
    assert rows_of(home, tmp_path, [])[0] == []


def test_an_image_that_is_not_here(home):
    """An unknown image is not found."""
    with pytest.raises(NotFoundError):
        history(home, "nope")
