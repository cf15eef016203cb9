"""How the program of a container is found."""

from __future__ import annotations

import errno

import pytest

from layerkit.sandbox.become import find_program


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A folder with two bin folders, which is also the working directory."""
    for path, mode in {
        "a/tool": 0o644,
        "b/tool": 0o755,
        "b/plain": 0o644,
        "here": 0o755,
    }.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch(mode)
    (tmp_path / "a/folder").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "search", "wanted"),
    [
        ("tool", "{0}/a:{0}/b", "{0}/b/tool"),
        ("tool", "{0}/nosuch::{0}/b", "{0}/b/tool"),
        ("{0}/b/tool", "", "{0}/b/tool"),
        ("./here", "", "./here"),
        ("b/tool", "/bin", "b/tool"),
    ],
    ids=["past what cannot run", "past nothing", "absolute", "relative", "with a slash"],
)
def test_a_program_is_found(tree, name, search, wanted):
    """A plain name is looked for in PATH, a name with a slash is a path."""
    assert find_program(name.format(tree), search.format(tree)) == wanted.format(tree)


@pytest.mark.parametrize(
    ("name", "search", "number"),
    [
        ("tool", "", errno.ENOENT),
        ("here", ":.:a", errno.ENOENT),
        ("plain", "{0}/b", errno.ENOENT),
        ("folder", "{0}/a", errno.ENOENT),
        ("", "{0}/a", errno.ENOENT),
        ("./nosuch", "{0}/b", errno.ENOENT),
        ("./b/plain", "", errno.EACCES),
        ("./a/folder", "", errno.EISDIR),
        ("./here/x", "", errno.ENOTDIR),
    ],
    ids=[
        "empty PATH", "relative PATH", "not executable", "a folder", "no name",
        "path to nothing", "path not executable", "path to a folder", "path through a file",
    ],
)  # fmt: skip
def test_what_is_not_found_has_its_reason(tree, name, search, number):
    """In PATH all that cannot run is as good as missing; a path says what is wrong with it."""
    with pytest.raises(OSError) as caught:  # noqa: PT011  the number is what matters
        find_program(name.format(tree), search.format(tree))
    assert caught.value.errno == number
