"""An archive appears whole or not at all, and goes where it was asked to go."""

import os
import stat
import threading
from pathlib import Path

import pytest

from layerkit.cli import target
from layerkit.errors import LayerkitError, NotFoundError, UsageError


def pieces(*, fails=False):
    """Some bytes, small and large pieces mixed, and perhaps an error."""
    yield b"a" * 10
    yield b"b" * (3 << 20)
    if fails:
        raise NotFoundError("gone")
    yield b"c"


DATA = b"".join(pieces())


def test_a_file_is_written(tmp_path):
    """All pieces are in it, it has the usual mode, and nothing else is beside it."""
    target.write(tmp_path / "x.tar", pieces())

    assert (tmp_path / "x.tar").read_bytes() == DATA
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((tmp_path / "x.tar").stat().st_mode) == 0o666 & ~umask
    assert os.listdir(tmp_path) == ["x.tar"]


def test_an_error_leaves_the_old_file(tmp_path):
    """What was there before stays until the new one is whole."""
    path = tmp_path / "x.tar"
    path.write_bytes(b"old")

    with pytest.raises(NotFoundError):
        target.write(path, pieces(fails=True))
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x.tar"]

    target.write(path, pieces())
    assert path.read_bytes() == DATA


def test_a_symlink_stays_one(tmp_path):
    """The file that it leads to is replaced."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder/x.tar")

    target.write(tmp_path / "link", pieces())

    assert (tmp_path / "link").is_symlink()
    assert os.listdir(tmp_path / "folder") == ["x.tar"]


@pytest.mark.parametrize("through_a_link", [False, True])
def test_a_device_stays_one(tmp_path, through_a_link):
    """What is no regular file is written into, never replaced."""
    path = tmp_path / "null" if through_a_link else Path("/dev/null")
    if through_a_link:
        path.symlink_to("/dev/null")

    target.write(path, pieces())

    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_fifo_is_written_into(tmp_path):
    """Its reader gets everything."""
    os.mkfifo(tmp_path / "pipe")
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()

    target.write(tmp_path / "pipe", pieces())

    reader.join()
    assert got == [DATA]


def test_standard_output(capfdbinary):
    """Without a path the bytes are the output."""
    target.write(None, pieces())

    assert capfdbinary.readouterr().out == DATA


def test_a_terminal_is_refused(monkeypatch):
    """Nobody wants an archive on a screen; nothing is read for it either."""
    monkeypatch.setattr(os, "isatty", lambda descriptor: descriptor == 1)

    with pytest.raises(UsageError) as caught:
        target.write(None, pieces(fails=True))
    assert caught.value.message == "refusing to write a tar to the terminal, use -o"


def test_a_directory_is_refused(tmp_path):
    """An archive is a file."""
    with pytest.raises(UsageError, match="it is a directory"):
        target.write(tmp_path, pieces(fails=True))


@pytest.mark.parametrize(
    ("path", "reason"),
    [("missing/x.tar", "no such file"), ("file/x.tar", "not a directory"), ("n" * 256, "too long")],
)
def test_a_place_that_is_none(tmp_path, path, reason):
    """The path and the reason are told."""
    (tmp_path / "file").touch()

    with pytest.raises(LayerkitError, match=f"cannot write {tmp_path}.*: .*{reason}"):
        target.write(tmp_path / path, pieces())
    assert os.listdir(tmp_path) == ["file"]


def test_a_full_device():
    """No room is told as such."""
    with pytest.raises(LayerkitError, match="cannot write /dev/full: no space left on device"):
        target.write(Path("/dev/full"), pieces())


def test_a_reader_that_left(tmp_path):
    """A broken pipe is not made an error of ours: it ends the program silently."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)

    def leaving():
        yield b"a"
        os.close(reader)
        yield b"b" * (1 << 20)

    with pytest.raises(BrokenPipeError):
        target.write(tmp_path / "pipe", leaving())
