"""Variables and labels come from files and options as in docker."""

import pytest

from layerkit.cli.wishes.variables import labels, variables
from layerkit.errors import UsageError


@pytest.fixture
def file(tmp_path):
    """Writes a file, and gives its path."""

    def write(data):
        path = tmp_path / "file"
        path.write_bytes(data)
        return str(path)

    return write


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"", ()),
        (b"A=1\nB=2\n", ("A=1", "B=2")),
        (b"A=1\r\nB=2", ("A=1", "B=2")),
        (b"# comment\n\n  \n\t# too\nA=1", ("A=1",)),
        (b" \tA=1", ("A=1",)),
        (b"A= 1 # no comment ", ("A= 1 # no comment ",)),
        (b"A='1'\nB=\"2\"", ("A='1'", 'B="2"')),
        (b"A=\nB==", ("A=", "B==")),
        (b"A=$X ${X}", ("A=$X ${X}",)),
        (b"OURS\nNOT_OURS\nEMPTY", ("OURS=x y", "EMPTY=")),
        (b"\xef\xbb\xbfA=1", ("A=1",)),
        ("Ä=ö".encode(), ("Ä=ö",)),
    ],
    ids=str,
)
def test_a_file_of_variables(monkeypatch, file, data, wanted):
    """RT-P07: nothing is quoted, no comment ends a line, a mere name has our value or is left out."""
    monkeypatch.setenv("OURS", "x y")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.delenv("NOT_OURS", raising=False)

    assert variables((), [file(data)]) == wanted


def test_options_come_after_files(monkeypatch, file):
    """RT-P07: so -e has the last word; a mere name that is not ours takes the variable away."""
    monkeypatch.delenv("NOT_OURS", raising=False)

    assert variables(["A=2", "NOT_OURS", "B="], [file(b"A=1")]) == ("A=1", "A=2", "NOT_OURS", "B=")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"A=1\n=2", "line 2: '=2': wanted KEY=VALUE or KEY"),
        (b"A B=1", "line 1: 'A B=1'"),
        (b"A =1", "line 1: 'A =1'"),
        (b"export A=1", "line 1: 'export A=1'"),
        (b"A\tB", "line 1"),
        (b"A=\0", "line 1"),
        (b"A=\xff", "not UTF-8"),
        (b"A=" + b"x" * (1 << 20), "more than 1048576 bytes"),
    ],
    ids=lambda each: str(each[:20]),
)
def test_a_bad_file_of_variables(file, data, reason):
    """A bad line is named with file and number; a file is small and text."""
    path = file(data)
    with pytest.raises(UsageError) as caught:
        variables((), [path])

    assert f" --env-file {path}: {reason}" in caught.value.message
    assert len(caught.value.message) < 400


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_file_that_cannot_be_read(tmp_path, name):
    """A missing file or a folder is named with the reason."""
    with pytest.raises(UsageError, match=r"^cannot read --env-file .*: (no such file|is a dir)"):
        variables((), [str(tmp_path / name)])


@pytest.mark.parametrize("text", ["", "=", "=1"])
def test_a_variable_without_a_name(text):
    """-e needs a name."""
    with pytest.raises(UsageError, match=r"^invalid --env"):
        variables([text], ())


def test_labels(file):
    """Labels of files come first, a mere key is empty, the last value of a key counts."""
    path = file(b"# c\na=1\nb=2\nleft-out")

    assert labels(["b=3=4", "c"], [path]) == (("a", "1"), ("b", "3=4"), ("c", ""))


@pytest.mark.parametrize("text", ["", "=1", "a b=1", " a=1", "a\n=1"])
def test_a_bad_label(text):
    """A key is one word."""
    with pytest.raises(UsageError, match=r"^invalid --label"):
        labels([text], ())


def test_a_bad_file_of_labels(file):
    """Its option, path and line are named."""
    with pytest.raises(UsageError, match=r"^invalid --label-file .*file: line 2"):
        labels((), [file(b"a=1\n=2")])
