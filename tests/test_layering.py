"""Who may import whom, and who may touch the world outside the library.

    cli ──► ops ──► parts ──► values

A part imports values and itself, never another part: parts meet in `ops`, through values.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import layerkit

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(layerkit.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

VALUES = {
    "digest", "errors", "events", "libc", "libseccomp", "limits", "linux", "loop", "mount", "mounting", "oci",
    "oci_shapes", "platforms", "ports", "reference", "resources", "strictjson", "tree",
}  # fmt: skip
PARTS = {"diff", "layer", "network", "registry", "sandbox", "snapshot", "store"}
KNOWN = VALUES | PARTS | {"ops", "cli"}
ROOT = "layerkit"
"""What `layerkit/__init__.py` itself offers to users of the library."""

OUTSIDE = {
    "os.environ": "reads the environment",
    "os.environb": "reads the environment",
    "os.getenv": "reads the environment",
    "os.path.expanduser": "reads the environment",
    "pathlib.Path.home": "reads the environment",
    "platformdirs": "reads the environment",
    "print": "prints",
    "sys.stdout": "prints",
    "sys.stderr": "prints",
    "sys.exit": "exits",
    "exit": "exits",
    "quit": "exits",
    "SystemExit": "exits",
}
CALLERS_OF_OUTSIDE = {"cli", "__main__"}
"""`os._exit` is not in the list: a forked child has no other way to end."""


def may_import(component: str) -> set[str]:
    """The components that `component`, a name directly below `layerkit`, may import."""
    match component:
        case "__main__":
            return {"cli"}
        case "cli":
            return VALUES | {"ops", "cli", ROOT}
        case "ops" | "__init__":
            return VALUES | PARTS | {"ops"}
        case part if part in PARTS:
            return VALUES | {part}
        case value if value in VALUES:
            return VALUES
        case unknown:
            raise KeyError(f"{unknown} has no place in the layering: give it one in {__file__}")


def component_of(path: Path) -> str:
    """The name directly below `layerkit` that a module belongs to."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported_names(source: str, package: tuple[str, ...]) -> set[str]:
    """The dotted name of everything that a module in `package` imports, relative ones resolved."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            stem = ".".join((*base, node.module) if node.module else base)
            found.update(f"{stem}.{alias.name}" for alias in node.names)
    return found


def imported_components(source: str, package: tuple[str, ...]) -> set[str]:
    """The components of layerkit that a module imports; `ROOT` for the package's own names."""
    found = set()
    for name in imported_names(source, package):
        top, _, rest = name.partition(".")
        # The version is a plain value; `__init__` sets it before it imports anything.
        if top == ROOT and rest != "__version__":
            component = rest.partition(".")[0]
            is_module = component in KNOWN or (PACKAGE / f"{component}.py").exists()
            found.add(component if is_module else ROOT)
    return found


def imported_by(path: Path) -> set[str]:
    """The components that the module at `path` imports."""
    package = (ROOT, *path.relative_to(PACKAGE).parts[:-1])
    return imported_components(path.read_text(), package)


def uses_of_outside(source: str) -> list[str]:
    """One line for each use of `OUTSIDE`, by the name it has in the standard library."""
    tree = ast.parse(source)
    names = _bound_names(tree)
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            first, _, rest = _dotted(node).partition(".")
            full = ".".join(filter(None, (names.get(first, first), rest)))
            if full in OUTSIDE:
                lines.append(f"line {node.lineno}: {full} {OUTSIDE[full]}")
    return lines


def _bound_names(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for."""
    bound = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            bound.update({alias.asname or alias.name: alias.name for alias in node.names})
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                bound[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return bound


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def _imports_ctypes(source: str) -> bool:
    return any(name.split(".")[0] == "ctypes" for name in imported_names(source, (ROOT,)))


def _cycles(graph: dict[str, set[str]]) -> Iterator[str]:
    """Each component that reaches itself through others."""
    for start, targets in graph.items():
        seen: set[str] = set()
        waiting = targets - {start}
        while waiting:
            name = waiting.pop()
            seen.add(name)
            waiting |= graph.get(name, set()) - seen - {name}
        if start in seen:
            yield start


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_imports_go_downwards(path):
    """A module imports only components that its own may import."""
    assert imported_by(path) - may_import(component_of(path)) == set()


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_only_the_command_line_touches_the_outside(path):
    """Only `layerkit/cli` reads the environment, prints or exits."""
    uses = uses_of_outside(path.read_text())

    assert component_of(path) in CALLERS_OF_OUTSIDE or uses == []


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_only_few_modules_call_c_by_ctypes(path):
    """Only `linux.py` for the kernel, `libseccomp.py`, and `libc.py` for the former, import ctypes."""
    allowed = {"libc.py", "linux.py", "libseccomp.py"}

    assert not _imports_ctypes(path.read_text()) or _name(path) in allowed


def test_values_do_not_import_each_other_in_circles():
    """The values among themselves have an order, too."""
    graph = {name: imported_by(PACKAGE / f"{name}.py") for name in VALUES}

    assert list(_cycles(graph)) == []


@pytest.mark.parametrize(
    ("source", "package", "wanted"),
    [
        ("import layerkit.store.blobs", "layerkit", {"store"}),
        ("from layerkit import store", "layerkit", {"store"}),
        ("from layerkit.store import blobs", "layerkit.registry", {"store"}),
        ("from ..store import blobs", "layerkit.registry", {"store"}),
        ("from .. import store", "layerkit.registry", {"store"}),
        ("from . import retry", "layerkit.registry", {"registry"}),
        ("from .retry import wait", "layerkit.registry", {"registry"}),
        ("def late():\n    from layerkit import ops", "layerkit.cli", {"ops"}),
        ("if TYPE_CHECKING:\n    from layerkit.oci import Index", "layerkit", {"oci"}),
        ("from layerkit import pull", "layerkit.cli", {ROOT}),
        ("from layerkit import __version__", "layerkit.registry", set()),
        ("import layerkit", "layerkit.cli", {ROOT}),
        ("import os, layerkitten.store", "layerkit", set()),
    ],
)
def test_every_form_of_import_is_seen(source, package, wanted):
    """The checker finds absolute, relative, late and type-only imports."""
    assert imported_components(source, tuple(package.split("."))) == wanted


@pytest.mark.parametrize(
    ("component", "forbidden"),
    [
        ("registry", "store"),
        ("store", "layer"),
        ("layer", "ops"),
        ("errors", "store"),
        ("digest", "cli"),
        ("ops", "cli"),
        ("cli", "store"),
        ("snapshot", ROOT),
    ],
)
def test_the_rule_forbids_what_it_should(component, forbidden):
    """Siblings, upward imports and short cuts are not among what may be imported."""
    assert forbidden not in may_import(component)


def test_a_module_without_a_place_is_refused():
    """A new component has to be given its place in the layering first."""
    with pytest.raises(KeyError, match="no place in the layering"):
        may_import("utils")


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.environ['HOME']",
        "import os\nos.environ.get('HOME')",
        "import os as system\nsystem.getenv('HOME')",
        "from os import environ\nenviron['HOME']",
        "from os import getenv as g\ng('HOME')",
        "import os.path\nos.path.expanduser('~')",
        "from pathlib import Path\nPath.home()",
        "import platformdirs\nplatformdirs.user_data_dir()",
        "print('hello')",
        "write = print",
        "import sys\nsys.stdout.write('hello')",
        "from sys import stderr\nstderr.flush()",
        "import sys\nsys.exit(1)",
        "from sys import exit as leave\nleave()",
        "raise SystemExit(1)",
        "exit()",
    ],
)
def test_every_way_out_is_seen(source):
    """The checker finds environment, output and exit, also under another name."""
    assert uses_of_outside(source) != []


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.open('/x', os.O_RDONLY)",
        "import os\nos._exit(1)",
        "def f(print_it):\n    return print_it.exit",
        "class Plan:\n    environ = ()\nPlan().environ",
        "'print(1)'  # sys.exit()",
    ],
)
def test_what_only_looks_like_a_way_out_is_allowed(source):
    """Names, strings and comments that merely look similar are no offence."""
    assert uses_of_outside(source) == []


@pytest.mark.parametrize("source", ["import ctypes", "from ctypes.util import find_library"])
def test_ctypes_is_seen(source):
    """The checker finds ctypes and its parts."""
    assert _imports_ctypes(source)


def test_circles_are_seen():
    """The checker finds a circle of three, and only its members."""
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": {"e"}}

    assert list(_cycles(graph)) == ["a", "b", "c"]
