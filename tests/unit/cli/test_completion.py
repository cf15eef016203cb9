"""Shells complete commands, options and the names of images and containers."""

import pytest

from layerkit import digest as digests
from layerkit import oci
from layerkit.cli import app
from layerkit.ops import volumes
from layerkit.ops.home import Home
from layerkit.ops.images import ImageRow
from layerkit.store.records import ContainerRecord, ImageRecord, SnapshotRecord

ID = digests.of_bytes(b"config")


@pytest.fixture
def images(monkeypatch, state_root):
    """A state directory with images and containers of these names in it."""
    rows = [
        ImageRow("centos", "7", "<none>", ID, "", 0),
        ImageRow("centos", "8", "<none>", ID, "", 0),
        ImageRow("localhost:5000/app", "<none>", "<none>", ID, "", 0),
        ImageRow("debian", "12", "<none>", ID, "", 0),
    ]
    monkeypatch.setattr("layerkit.ops.images.list_images", lambda _home, _pattern: rows)
    with Home(state_root) as home:
        image = ImageRecord(ID, oci.OCI_MANIFEST, 0, ID, "", "", 0, ())
        home.store.database.put_image(image)
        for number, (start, name) in enumerate((("d", "dove"), ("0", "try"), ("a", "deer"))):
            record = ContainerRecord(start * 64, name, "centos:7", ID, -float(number), "copy")
            home.store.database.put_container(record)
        snapshot = SnapshotRecord("5" * 64, record.id, "s", 0.0, ("5" * 64,))
        home.store.database.put_snapshot(snapshot)


def completed(cli, monkeypatch, line):
    """What bash is told about a command line."""
    monkeypatch.setenv("_LAYERKIT_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_LINE", line)
    outcome = cli()
    assert (outcome.code, outcome.err) == (0, "")
    return [each.removeprefix("plain,") for each in outcome.out.split()]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(cli, shell):
    """The script defines what the shell calls, and names the program."""
    outcome = cli("completion", shell)

    assert (outcome.code, outcome.err) == (0, "")
    assert "_LAYERKIT_COMPLETE" in outcome.out
    assert f"{shell}_complete" in outcome.out


def test_another_shell_is_refused(cli):
    """Only shells with a script can be named."""
    assert cli("completion", "tcsh").code == 2


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("layerkit ", list(app.COMMANDS)),
        ("layerkit im", ["images", "import"]),
        ("layerkit --pro", ["--progress"]),
        ("layerkit --progress ", ["auto", "plain", "json", "none"]),
        ("layerkit images --no", ["--no-trunc"]),
        ("layerkit inspect --type ", ["image", "container", "snapshot"]),
        ("layerkit inspect --type snapshot d", ["deer@s"]),
        ("layerkit inspect deer@", []),
        ("layerkit snapshot r", ["rm", "rollback"]),
        ("layerkit snapshot rollback ", ["deer@s"]),
        ("layerkit run --from d", ["deer@s"]),
        ("layerkit history ", ["centos:7", "centos:8", "debian:12"]),
        ("layerkit rmi deb", ["debian:12"]),
        ("layerkit rmi debian:12 centos:", ["centos:7", "centos:8"]),
        ("layerkit tag x", []),
        ("layerkit diff ", ["dove", "try", "deer", "centos:7", "centos:8", "debian:12"]),
        ("layerkit diff d", ["dove", "deer", "d" * 12, "debian:12"]),
        ("layerkit export 0", ["0" * 12]),
        ("layerkit ls de", ["deer", "debian:12"]),
        ("layerkit ls --platform linux/amd64 ce", ["centos:7", "centos:8"]),
        ("layerkit cat deer:/x d", ["dove", "deer", "d" * 12, "debian:12"]),
        ("layerkit inspect deb", ["debian:12"]),
        ("layerkit inspect --type container ", ["dove", "try", "deer"]),
        ("layerkit inspect --type image d", ["debian:12"]),
    ],
)
def test_words_are_completed(images, cli, monkeypatch, line, wanted):
    """Commands, options, their values, images and containers are offered where they belong."""
    assert completed(cli, monkeypatch, line) == wanted


def test_looking_makes_no_state_directory(cli, monkeypatch, state_root):
    """Completion without a state directory offers nothing and leaves nothing."""
    assert completed(cli, monkeypatch, "layerkit history ") == []
    assert not state_root.exists()


def test_a_broken_state_directory_is_no_error(images, cli, monkeypatch, state_root):
    """A shell never shows an error for a Tab."""
    (state_root / "store.db").write_bytes(b"no database" * 1000)

    assert completed(cli, monkeypatch, "layerkit history ") == []
    assert completed(cli, monkeypatch, "layerkit diff ") == []


def test_the_root_option_counts(images, cli, monkeypatch, tmp_path):
    """The images are those of the state directory that the line names."""
    line = f"layerkit --root {tmp_path}/none history "

    assert completed(cli, monkeypatch, line) == []


@pytest.mark.parametrize("instruction", ["bash_source", "tcsh_complete", "x"])
def test_unknown_questions_are_not_answered(cli, monkeypatch, instruction):
    """Only completion can be asked for by the environment."""
    monkeypatch.setenv("_LAYERKIT_COMPLETE", instruction)

    assert cli("images") == (1, "", "")


def test_volumes_are_completed(cli, monkeypatch, state_root):
    """Where a command takes some."""
    with Home(state_root) as home:
        for name in ("data", "date", "other"):
            volumes.create(home, name)

    assert completed(cli, monkeypatch, "layerkit volume rm da") == ["data", "date"]
