"""What users of the library import: few names, each loaded when it is used."""

from __future__ import annotations

import ast
import importlib.resources
import pkgutil
from pathlib import Path

import pytest
from support.modules import loaded_by

import layerkit
from layerkit import errors, tree
from layerkit.ops import library

SOURCE = ast.parse(Path(layerkit.__file__).read_text())


def names_for_type_checkers() -> dict[str, str]:
    """Each name that the block for type checkers imports, and the module it comes from."""
    (block,) = (node for node in SOURCE.body if isinstance(node, ast.If))
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assert imports == block.body
    return {alias.name: each.module for each in imports for alias in each.names}


def test_importing_loads_next_to_nothing():
    """`import layerkit` loads no module of layerkit but itself, and none that is not Python's."""
    loaded = loaded_by("import layerkit")

    own = [name for name in loaded if name.partition(".")[0] == "layerkit"]
    foreign = {"click", "isal", "msgspec", "requests", "rich", "sqlite3", "urllib3", "zstandard"}
    assert own == ["layerkit"]
    assert foreign.isdisjoint(loaded)
    assert len(loaded) <= 45


@pytest.mark.parametrize("name", ["list_images", "open_image", "read_file", "run", "walk"])
def test_what_needs_no_registry_loads_no_http(name):
    """Only names for pulls load what speaks HTTP, and nothing what draws or parses arguments."""
    loaded = loaded_by(f"import layerkit; layerkit.{name}")

    assert {"click", "requests", "rich", "urllib3"}.isdisjoint(loaded)


@pytest.mark.parametrize("name", layerkit.__all__)
def test_a_name_is_what_its_module_has(name):
    """What a program gets is what a type checker sees."""
    module = importlib.import_module(names_for_type_checkers()[name])

    assert getattr(layerkit, name) is getattr(module, name)


def test_type_checkers_see_all_names():
    """The imports for type checkers and `__all__` are the same names."""
    assert sorted(names_for_type_checkers()) == sorted(layerkit.__all__)


def test_no_name_is_that_of_a_module():
    """A module that is loaded becomes an attribute of its package, and would hide the name."""
    modules = {info.name for info in pkgutil.iter_modules(layerkit.__path__)}

    assert modules.isdisjoint(layerkit.__all__)


def test_dir_lists_the_names():
    """A shell that completes names finds them, each once."""
    assert set(layerkit.__all__) <= set(dir(layerkit))


def test_another_name_is_an_error():
    """What is not exported is missing as from any module."""
    with pytest.raises(AttributeError, match="module 'layerkit' has no attribute 'nothing'"):
        layerkit.nothing  # noqa: B018  to look is enough


def test_a_star_import_has_the_names():
    """`from layerkit import *` brings what is exported."""
    names: dict[str, object] = {}
    exec("from layerkit import *", names)

    assert names["LayerkitError"] is errors.LayerkitError
    assert names["Change"] is tree.Change
    assert names["pull"] is library.pull


def test_the_package_says_that_it_is_typed():
    """PEP 561: type checkers look for this file."""
    assert importlib.resources.files("layerkit").joinpath("py.typed").is_file()
