"""The committed archives are what their script makes, and all are good layers."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from support.listing import read_at

from layerkit.layer import archive, compression, merge
from layerkit.tree import empty

FIXTURES = Path(__file__).parents[3] / "fixtures"


def built():
    """What the script would write now."""
    spec = importlib.util.spec_from_file_location("build", FIXTURES / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.fixtures()


def test_a_second_run_of_the_script_changes_nothing():
    """Every file in fixtures/archives is what fixtures/build.py makes, byte for byte unpacked.

    Compressors give other bytes in other versions, so they are compared by what they hold.
    """
    kept = {path.name: path.read_bytes() for path in (FIXTURES / "archives").iterdir()}

    assert {name: unpacked(data) for name, data in kept.items()} == {
        name: unpacked(data) for name, data in built().items()
    }


def unpacked(data):
    """The tar in a fixture."""
    return b"".join(compression.inflate([data]))


@pytest.mark.parametrize("path", sorted((FIXTURES / "archives").iterdir()), ids=lambda p: p.name)
def test_every_fixture_is_a_good_layer(path):
    """Each fixture inflates, is read to its end, and applies."""
    entries = list(archive.read(read_at(unpacked(path.read_bytes())), lambda _: None))

    merge.apply(empty(), entries, 0)
