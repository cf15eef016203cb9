"""How the code is written, as far as a program can tell: words, sizes, and the tree of errors."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import statistics
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import layerkit
from layerkit import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    Function = ast.FunctionDef | ast.AsyncFunctionDef

PACKAGE = Path(layerkit.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
TEST_MODULES = sorted(Path(__file__).parent.rglob("*.py"))

LONGEST_MODULE = 350
LONGEST_FUNCTION = 50
MEDIAN_FUNCTION = 8
LONG_MODULES = {"sandbox/steps.py": "a list of small values, one after the other"}
"""Modules that may have more than `LONGEST_MODULE` lines, each with its reason."""


def _name(path: Path) -> str:
    root = PACKAGE if path.is_relative_to(PACKAGE) else Path(__file__).parent
    return str(path.relative_to(root))


def functions(source: str) -> Iterator[Function]:
    """Every function and method of a module, nested ones included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_length(function: Function) -> int:
    """The lines of a function's body without its docstring; 0 when nothing else is in it."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def long_functions(source: str) -> list[str]:
    """The functions with more than `LONGEST_FUNCTION` lines, signature and docstring included."""
    return [
        f"line {each.lineno}: {each.name}"
        for each in functions(source)
        if each.end_lineno - each.lineno + 1 > LONGEST_FUNCTION
    ]


def undocumented(source: str) -> list[str]:
    """What is public in a module and has no docstring, the module itself included."""
    tree = ast.parse(source)
    missing = [] if ast.get_docstring(tree) else ["the module"]
    return missing + [name for name, node in _public(tree, "") if not ast.get_docstring(node)]


def _public(scope: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[str, ast.AST]]:
    """Each public class, function and method; an overload or setter is part of another one."""
    for node in scope.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith("_") or any(map(_is_part, node.decorator_list)):
            continue
        yield prefix + node.name, node
        if isinstance(node, ast.ClassDef):
            yield from _public(node, f"{prefix}{node.name}.")


def _is_part(decorator: ast.expr) -> bool:
    return ast.unparse(decorator).rpartition(".")[2] in {"overload", "setter", "deleter"}


def unruled_tests(source: str) -> list[str]:
    """The test functions and methods that do not say in a docstring which rule they show."""
    return [
        each.name
        for each in functions(source)
        if each.name.startswith("test_") and not (ast.get_docstring(each) or "").strip()
    ]


def unsorted_names(source: str) -> list[str] | None:
    """`__all__` as it should be, where it is not: constants, classes, functions, each sorted."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names = list(ast.literal_eval(node.value))
            wanted = sorted(set(names), key=_rank)
            return None if names == wanted else wanted
    return None


def _rank(name: str) -> tuple[int, str]:
    kind = 0 if name.isupper() else 1 if name[:1].isupper() else 2
    return kind, name


def error_classes() -> list[type[Exception]]:
    """Every public exception class that a module of layerkit, other than the cli's, defines."""
    names = [info.name for info in pkgutil.walk_packages([str(PACKAGE)], "layerkit.")]
    library = [name for name in names if not name.startswith(("layerkit.cli", "layerkit.__main__"))]
    return [
        value
        for name in library
        for _, value in inspect.getmembers(importlib.import_module(name), inspect.isclass)
        if issubclass(value, Exception) and value.__module__ == name and value.__name__[0] != "_"
    ]


def shared_codes(root: type[errors.LayerkitError]) -> list[int]:
    """The exit codes that two direct children of `root`, or a child and `root`, have in common."""
    codes = [root.exit_code, *(child.exit_code for child in root.__subclasses__())]
    return sorted({code for code in codes if codes.count(code) > 1})


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_what_is_public_has_a_docstring(path):
    """Every module and every public class, function and method says what it is."""
    assert undocumented(path.read_text()) == []


@pytest.mark.parametrize("path", TEST_MODULES, ids=_name)
def test_every_test_states_its_rule(path):
    """Every test function and test method has a docstring."""
    assert unruled_tests(path.read_text()) == []


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_modules_are_short(path):
    """No module is long without a reason, and no reason outlives its module's length."""
    is_long = len(path.read_text().splitlines()) > LONGEST_MODULE

    assert is_long == (_name(path) in LONG_MODULES)


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_functions_are_short(path):
    """No function fills more than a screen."""
    assert long_functions(path.read_text()) == []


def test_most_functions_are_very_short():
    """The median body of a function is a few lines."""
    lengths = [body_length(each) for path in MODULES for each in functions(path.read_text())]

    assert statistics.median(lengths) <= MEDIAN_FUNCTION


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_exported_names_are_sorted(path):
    """`__all__` is in order and names nothing twice."""
    assert unsorted_names(path.read_text()) is None


def test_every_error_is_in_the_tree():
    """Whatever the library raises on purpose can be caught as one `LayerkitError`."""
    strays = [each for each in error_classes() if not issubclass(each, errors.LayerkitError)]

    assert strays == []


def test_exit_codes_tell_the_branches_of_the_tree_apart():
    """The root and each of its direct children end the program with a code of their own."""
    assert shared_codes(errors.LayerkitError) == []


def test_the_tree_in_the_docstring_is_the_real_one():
    """The drawing at the top of the module names every error, with its code where it has its own."""
    drawn = re.findall(r"(\w+Error) \.+(?: +(\d+))?", errors.__doc__)
    wanted = {
        each.__name__: str(each.exit_code) if "exit_code" in vars(each) else ""
        for each in vars(errors).values()
        if inspect.isclass(each) and issubclass(each, Exception)
    }

    assert dict(drawn) == wanted


class TestCheckers:
    """The rules above find what breaks them."""

    @pytest.mark.parametrize(
        ("source", "missing"),
        [
            ('"""Doc."""\ndef f(): pass', ["f"]),
            ('"""Doc."""\nasync def f(): pass', ["f"]),
            ('"""Doc."""\nclass C: pass', ["C"]),
            ('"""Doc."""\nclass C:\n    """Doc."""\n    def m(self): pass', ["C.m"]),
            ("x = 1", ["the module"]),
            ('"""Doc."""\ndef _f(): pass\nclass _C: pass', []),
            ('"""Doc."""\nclass C:\n    """Doc."""\n    def __init__(self): pass', []),
            ('"""Doc."""\n@typing.overload\ndef f(): ...', []),
            ('"""Doc."""\ndef f():\n    """Doc."""\n    def inner(): pass', []),
        ],
    )
    def test_a_missing_docstring_is_seen(self, source, missing):
        """Only what is public needs a docstring, and all of it does."""
        assert undocumented(source) == missing

    @pytest.mark.parametrize(
        ("source", "found"),
        [
            ("def test_a(): pass", ["test_a"]),
            ('def test_a():\n    """"""', ["test_a"]),
            ("class TestA:\n    def test_a(self): pass", ["test_a"]),
            ('def test_a():\n    """Rule."""', []),
            ("def helper(): pass", []),
        ],
    )
    def test_a_test_without_a_rule_is_seen(self, source, found):
        """A test function or method without text in its docstring is found."""
        assert unruled_tests(source) == found

    @pytest.mark.parametrize(("lines", "count"), [(49, 0), (50, 1)])
    def test_a_long_function_is_seen(self, lines, count):
        """Fifty lines are allowed, signature included, fifty-one are not."""
        source = "def f():\n" + "    x = 1\n" * lines

        assert len(long_functions(source)) == count

    @pytest.mark.parametrize(
        ("source", "length"),
        [
            ('def f():\n    """Doc,\n    two lines."""\n    a = 1\n\n    return a', 3),
            ("def f(): return 1", 1),
            ('def f():\n    """Doc."""', 0),
        ],
    )
    def test_a_docstring_does_not_count_as_body(self, source, length):
        """The length of a body is without the docstring, blank lines inside included."""
        assert body_length(next(functions(source))) == length

    @pytest.mark.parametrize(
        ("source", "wanted"),
        [
            ('__all__ = ["pull", "Store"]', ["Store", "pull"]),
            ('__all__ = ["B", "A"]', ["A", "B"]),
            ('__all__ = ["A", "A"]', ["A"]),
            ('__all__ = ["LIMIT", "Store", "pull"]', None),
            ("x = 1", None),
        ],
    )
    def test_unsorted_names_are_seen(self, source, wanted):
        """Names out of order or given twice are answered with the right order."""
        assert unsorted_names(source) == wanted

    def test_a_shared_exit_code_is_seen(self):
        """Two branches with one exit code are found, as is one with the root's own."""

        class Root(errors.LayerkitError):
            exit_code = 90

        class First(Root):
            exit_code = 91

        class Second(Root):
            exit_code = 91

        class Third(Root):
            exit_code = 90

        assert [First, Second, Third] == Root.__subclasses__()
        assert shared_codes(Root) == [90, 91]
