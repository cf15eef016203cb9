"""Every case that is known has a test that says so, and no test speaks of another one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support import cases

TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def collected():
    """The names of the tests that `-k cases` chooses."""
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-k", "cases", TESTS]
    done = subprocess.run(
        command, check=True, cwd=TESTS.parent, capture_output=True, text=True, timeout=100
    )
    return [line for line in done.stdout.splitlines() if "::" in line]


def test_the_cases_are_each_listed_once():
    """A case that stands twice in the list would hide that another one was forgotten."""
    assert len(set(cases.KNOWN)) == len(cases.KNOWN)
    assert [case for case in cases.KNOWN if cases.named(case) != [case]] == []


def test_every_case_has_a_test(collected):
    """`-k cases` names each of them."""
    tested = {case for line in collected for case in cases.named(line)}

    assert [case for case in cases.KNOWN if case not in tested] == []


def test_every_tested_case_is_known(collected):
    """A number that is mistyped, or new and not listed, is found."""
    strange = [line for line in collected if set(cases.named(line)) - set(cases.KNOWN)]

    assert strange == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("test_x[WH-01]", ["WH-01"]),
        ("test_x[WH-18 WH-20-openat2]", ["WH-18", "WH-20"]),
        ("test_x[DG-08-digest-path]", ["DG-08"]),
        ("test_x[D06-total]", ["D06"]),
        ("test_x[True-A02 C13-SE-29]", ["A02", "C13", "SE-29"]),
        ("test_x[RT-R01]", ["RT-R01"]),
        ("test_x[RT-T04-two reads T03]", ["RT-T04", "T03"]),
        ("test_x[UTF-16]", []),
        ("test_x[P-256]", []),
        ("test_x[R1]", []),
        ("test_x[D6]", []),
        ("test_x[C120]", []),
        ("test_x[K05s]", []),
        ("test_x[WH-1]", []),
        ("test_x[WH-011]", []),
        ("test_x[one]", []),
    ],
)
def test_a_name_says_its_cases(text, found):
    """One or two letters that are in use and two digits, anywhere in it but inside of a word."""
    assert cases.named(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("test_x[WH-01]", {"cases", "layer_cases"}),
        ("test_x[D06-total]", {"cases", "registry_cases"}),
        ("test_x[RT-L07]", {"cases", "runtime_cases"}),
        ("test_x[D06 RT-L07]", {"cases", "registry_cases", "runtime_cases"}),
        ("test_x[DG-26 K07]", {"cases", "layer_cases", "registry_cases"}),
        ("test_x[RT-N08-zombies]", {"cases", "runtime_cases"}),
        ("test_x[one]", set()),
    ],
)
def test_a_test_is_found_by_the_kind_of_its_cases(text, found):
    """`-k layer_cases`, `-k registry_cases`, `-k runtime_cases`, and `-k cases` for all."""
    assert cases.keywords(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("WH-18: no directory.", ["WH-18"]),
        ("WH-18, WH-20: no directory.", ["WH-18", "WH-20"]),
        ("INV-1, WH-20: no directory.", ["WH-20"]),
        ("D5, XA-15: left out.", ["XA-15"]),
        ("T09, T10: authorities.", ["T09", "T10"]),
        ("DG-26, K07: once.", ["DG-26", "K07"]),
        ("RT-L07, RT-L09: gone.", ["RT-L07", "RT-L09"]),
        ("No directory (WH-18).", []),
        ("As WH-18: no directory.", []),
        ("", []),
    ],
)
def test_a_docstring_begins_with_its_cases(text, found):
    """What stands further behind is only mentioned; ids of other lists are passed over."""
    assert cases.of_docstring(text) == found
