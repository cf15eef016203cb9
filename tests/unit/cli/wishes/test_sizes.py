"""Sizes and numbers are read as docker reads them."""

import pytest

from layerkit.cli.wishes import sizes
from layerkit.errors import UsageError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("512", 512),
        ("512b", 512),
        ("512B", 512),
        ("32m", 32 << 20),
        ("32M", 32 << 20),
        ("32mb", 32 << 20),
        ("32 MB", 32 << 20),
        ("64MiB", 64 << 20),
        ("1g", 1 << 30),
        ("1.5g", 3 << 29),
        (".5g", 1 << 29),
        ("1.g", 1 << 30),
        ("0.1k", 102),
        ("1t", 1 << 40),
        ("1p", 1 << 50),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_a_size_counts_by_1024(text, size):
    """RT-R01: every unit counts by 1024, with b or iB or without, in any case."""
    assert sizes.size(text, "--memory") == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-1",
        "-1g",
        "+1g",
        "g",
        ".",
        ".g",
        "1..5g",
        "1,5g",
        "1e9",
        "0x10",
        "1_000",
        "1  m",
        " 1m",
        "1m ",
        "1kk",
        "1bk",
        "1mi",
        "1x",
        "1mbb",
        "\u0661g",
        "9223372036854775808",
        "8192p",
        "9" * 5000,
        "1." + "9" * 20 + "g",
        "1m\n",
        "inf",
        "nan",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_what_is_no_size_is_named(text):
    """All else is refused in one line that says the option, the text and what was wanted."""
    with pytest.raises(UsageError, match=r"^invalid --memory '.*': wanted a size") as caught:
        sizes.size(text, "--memory")

    assert "\n" not in caught.value.message


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("-1", -1), ("007", 7)])
def test_a_whole_number(text, number):
    """Decimal digits, with a sign where negative numbers are allowed."""
    assert sizes.integer(text, "--n", -1) == number


@pytest.mark.parametrize("text", ["", "-", "--1", "-2", "+1", "1.0", "x", " 1", "\u0661", "9" * 99])
def test_what_is_no_whole_number_is_named(text):
    """Anything else, or a number out of range, is refused."""
    with pytest.raises(UsageError, match=r"^invalid --n .*: wanted a whole number, -1 or more"):
        sizes.integer(text, "--n", -1)
