"""`ls` prints names as `ls -A1` would, and lines as `ls -lnA` would."""

from __future__ import annotations

import subprocess

import pytest
from support import tars
from support.lookers import make_container
from support.registry import TestRegistry

from layerkit.errors import NotFoundError

TAR = tars.archive(
    tars.directory("./", mtime=1),
    tars.directory("etc", 0o750, uid=5, gid=60_000),
    tars.file("etc/.hidden", b""),
    tars.file("etc/passwd", b"x" * 12_345, mode=0o4755),
    tars.hardlink("etc/again", "etc/passwd", mode=0o4755),
    tars.symlink("etc/link", "passwd", uid=1),
    tars.directory("tmp", 0o1777, mtime=1_700_000_000),
    tars.character("tmp/null", 1, 3, mode=0o666),
    tars.block("tmp/disk", 259, 12, mode=0o660),
    tars.fifo("tmp/pipe", mode=0o2640),
    tars.directory("odd"),
    tars.file(b"odd/\xff\n\x1b", mtime=-1),
    tars.symlink("odd/l", b"\xfe\t"),
    tars.file("odd/far", mtime=2**60),
)


@pytest.fixture(scope="module")
def registry():
    """A registry with an image, `app:1`."""
    with TestRegistry() as running:
        running.add_image("app", "1", [TAR])
        yield running


@pytest.fixture(autouse=True)
def _zone(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")


@pytest.fixture
def name(registry, cli):
    """The name of the image, which was pulled."""
    name = f"{registry.host}/app:1"
    assert cli("pull", "-q", name).code == 0
    return name


def test_names_come_one_a_line(name, cli):
    """In byte order, those that begin with a dot included; the root without a path."""
    assert cli("ls", name) == (0, "etc\nodd\ntmp\n", "")
    assert cli("ls", f"{name}:/etc") == (0, ".hidden\nagain\nlink\npasswd\n", "")
    assert cli("ls", f"{name}:/etc/passwd") == (0, "/etc/passwd\n", "")


def test_names_do_nothing_to_a_terminal(name, cli):
    """Bytes that are no text and controls are escapes, wherever they go."""
    assert cli("ls", f"{name}:/odd") == (0, "far\nl\n\\xff\\n\\x1b\n", "")
    assert cli("ls", "-l", f"{name}:/odd").out == (
        "-rw-r--r-- 1 0 0 1 1152921504606846976 far\n"
        "lrwxrwxrwx 1 0 0 2    2001-09-09 01:46 l -> \\xfe\\t\n"
        "-rw-r--r-- 1 0 0 1    1969-12-31 23:59 \\xff\\n\\x1b\n"
    )


def test_long_lines_have_the_columns_of_ls(name, cli):
    """Mode, links, owner, group, size or device, time, name and target."""
    assert cli("ls", "-l", f"{name}:/etc").out == (
        "-rw-r--r-- 1 0 0     0 2001-09-09 01:46 .hidden\n"
        "-rwsr-xr-x 2 0 0 12345 2001-09-09 01:46 again\n"
        "lrwxrwxrwx 1 1 0     6 2001-09-09 01:46 link -> passwd\n"
        "-rwsr-xr-x 2 0 0 12345 2001-09-09 01:46 passwd\n"
    )


@pytest.mark.root
@pytest.mark.parametrize("folder", ["", "etc", "tmp"])
def test_long_lines_are_those_of_ls(name, cli, tmp_path, folder):
    """All but the size and links of directories, which depend on the file system."""
    assert cli("unpack", name, tmp_path / "out").code == 0
    command = ["ls", "-lnA", "--time-style=long-iso", str(tmp_path / "out" / folder)]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={"LC_ALL": "C", "TZ": "UTC"}
    )

    got = cli("ls", "-l", f"{name}:/{folder}").out

    assert fields(got) == fields(done.stdout)


def fields(lines):
    """The words of each line, those of directories without links and size."""
    split = [line.split() for line in lines.splitlines() if not line.startswith("total")]
    return [
        [word for at, word in enumerate(words) if words[0][0] != "d" or at not in {1, 4}]
        for words in split
    ]


def test_recursion_has_headings(name, cli):
    """Each directory has its path before it, and an empty line between."""
    assert cli("ls", "-R", name).out == (
        "/:\netc\nodd\ntmp\n\n/etc:\n.hidden\nagain\nlink\npasswd\n\n"
        "/odd:\nfar\nl\n\\xff\\n\\x1b\n\n/tmp:\ndisk\nnull\npipe\n"
    )
    assert cli("ls", "-R", f"{name}:/etc/passwd").out == "/etc/passwd\n"
    assert cli("ls", "-lR", f"{name}:/tmp").out.startswith("/tmp:\nbrw-rw---- 1 0 0 259, 12 ")


def test_an_empty_directory_has_no_lines(name, cli, state_root):
    """Nothing is printed, also with -l."""
    (make_container(state_root, name, "try") / "empty").mkdir()

    assert cli("ls", "try:/empty") == (0, "", "")
    assert cli("ls", "-l", "try:/empty") == (0, "", "")


def test_a_missing_path_is_an_error(name, cli):
    """The error is a line, and the code says that something was not found."""
    outcome = cli("ls", f"{name}:/nope")

    assert outcome == (
        NotFoundError.exit_code,
        "",
        f"layerkit: cannot list /nope of {name}: no such file or directory\n",
    )


def test_an_image_in_the_registry_needs_no_pull(registry, cli):
    """The same lines come from the registry, with a note."""
    name = f"{registry.host}/app:1"

    outcome = cli("--progress", "none", "ls", f"{name}:/tmp")

    note = f"note: {name} is not here: it is read from the registry\n"
    assert outcome == (0, "disk\nnull\npipe\n", note)
