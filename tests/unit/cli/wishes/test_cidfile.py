"""`--cidfile` is written once, and only for a container."""

import pytest

from layerkit.cli.wishes.cidfile import cidfile
from layerkit.errors import UsageError


def test_the_id_is_written(tmp_path):
    """RT-N01: the file has the id and nothing else."""
    path = tmp_path / "cid"
    with cidfile(str(path)) as write:
        assert path.read_text() == ""
        write("ab12")

    assert path.read_text() == "ab12"


def test_without_a_container_there_is_no_file(tmp_path):
    """What failed before there was an id leaves nothing."""
    path = tmp_path / "cid"
    with pytest.raises(ZeroDivisionError), cidfile(str(path)):
        raise ZeroDivisionError

    assert not path.exists()


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_a_file_that_exists_is_refused(tmp_path, kind):
    """It may be that of another container, so it stays as it is."""
    path = tmp_path / "cid"
    if kind == "file":
        path.write_text("other")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("nothing")
    with (
        pytest.raises(UsageError, match=r"container ID file found, make sure the other container"),
        cidfile(str(path)),
    ):
        pass

    assert path.is_symlink() or path.exists()
    assert kind != "file" or path.read_text() == "other"


def test_a_file_that_cannot_be_made(tmp_path):
    """A missing folder is named with the reason."""
    with (
        pytest.raises(UsageError, match=r"^cannot make --cidfile .*/x/cid: no such file"),
        cidfile(str(tmp_path / "x/cid")),
    ):
        pass


def test_without_a_path_nothing_is_written():
    """Who does not ask for a file gets none."""
    with cidfile(None) as write:
        write("ab12")
