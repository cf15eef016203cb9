"""`layerkit cp` knows which side is the container, and where a tar comes from or goes to."""

import io
import os
import tarfile

import pytest
from support import homes, tars

from layerkit.ops.home import Home

pytestmark = pytest.mark.root


@pytest.fixture
def container(environment, state_root, tmp_path, monkeypatch):
    """A container called c; commands run in a new folder, which is given."""
    base = tars.archive(tars.directory("etc"), tars.file("etc/motd", b"hello\n", uid=5))
    with Home(state_root) as home:
        image = homes.load_layers(home, tmp_path / "layout", [base])
        homes.create(home, image, name="c")
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_files_go_both_ways(container, cli):
    """Without a terminal nothing is said; the path is that of the folder the command runs in."""
    assert cli("cp", "c:/etc/motd", ".") == (0, "", "")
    (container / "motd").write_bytes(b"changed\n")
    assert cli("cp", "motd", "c:/etc") == (0, "", "")
    assert cli("cat", "c:/etc/motd").out == "changed\n"
    assert cli("diff", "c").out == "C /etc\nC /etc/motd\n"


def test_options_are_handed_over(container, cli):
    """-a keeps owners, -L follows the source, -q is quiet."""
    assert cli("cp", "-a", "c:/etc/motd", "kept").code == 0
    (container / "link").symlink_to("kept")
    assert cli("cp", "-q", "-L", "link", "c:/etc/followed").code == 0

    assert (container / "kept").stat().st_uid == 5
    assert cli("cat", "c:/etc/followed").out == "hello\n"


def test_a_tar_goes_out_and_in(container, cli, monkeypatch):
    """`-` is standard output as a destination, and standard input as a source."""
    with (container / "out.tar").open("wb") as file:
        saved = os.dup(1)
        try:
            assert _to(file, cli, "cp", "c:/etc", "-") == 0
        finally:
            os.dup2(saved, 1)
            os.close(saved)
    with tarfile.open(container / "out.tar") as tar:
        assert tar.getnames() == ["etc", "etc/hostname", "etc/hosts", "etc/motd", "etc/resolv.conf"]
    with (container / "in.tar").open("w+b") as file:
        file.write(tars.archive(tars.file("new", b"from a tar")))
        file.seek(0)
        saved = os.dup(0)
        os.dup2(file.fileno(), 0)
        try:
            assert cli("cp", "-", "c:/etc") == (0, "", "")
        finally:
            os.dup2(saved, 0)
            os.close(saved)
    assert cli("cat", "c:/etc/new").out == "from a tar"


def _to(file, cli, *arguments):
    """The code of a command whose standard output is a file."""
    from layerkit.cli import main  # noqa: PLC0415  as the fixture does

    os.dup2(file.fileno(), 1)
    return main(list(arguments))


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("a", "b"), "wanted one container: CONTAINER:PATH as source or as destination"),
        (("c:/a", "c:/b"), "wanted one container: CONTAINER:PATH as source or as destination"),
        (("-", "-"), "wanted one container: CONTAINER:PATH as source or as destination"),
        (("x:/a", "b"), "no such container: x"),
        (("c:/no", "b"), "cannot copy c:/no to b: no such file or directory"),
        (("no", "c:/"), "cannot copy no to c:/: no such file or directory"),
        (
            ("c:/etc", "no/b"),
            "cannot copy c:/etc to no/b: the directory of the destination does not exist",
        ),
        (
            ("c:/etc/motd", "no/"),
            "cannot copy c:/etc/motd to no/: the destination directory does not exist",
        ),
        (
            ("c:/etc", "/dev/null"),
            "cannot copy c:/etc to /dev/null: cannot copy a directory to a file",
        ),
        (("c:/etc",), "missing argument 'DST'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_every_failure_ends_with_docker_s_code(container, cli, arguments, wanted):
    """Whatever it is, the exit code is 1, and one line says what and why."""
    outcome = cli("cp", *arguments)

    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.splitlines()[0] == f"layerkit: {wanted}"


def test_a_terminal_gets_no_tar(container, cli, monkeypatch):
    """Neither is one written to a terminal, nor read from one."""
    monkeypatch.setattr("os.isatty", lambda _descriptor: True)

    assert "to the terminal" in cli("cp", "c:/etc", "-").err
    assert "is a terminal" in cli("cp", "-", "c:/etc").err


def test_a_terminal_is_told_what_was_copied(container, cli, monkeypatch):
    """Size and destination, on stderr, unless that is not wanted."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for option, wanted in (([], "Successfully copied 6B to new\n"), (["-q"], "")):
        terminal = Terminal()
        monkeypatch.setattr("sys.stderr", terminal)
        assert cli("--progress", "plain", "cp", *option, "c:/etc/motd", "new").code == 0
        assert terminal.getvalue() == wanted
