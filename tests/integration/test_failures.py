"""What goes wrong from outside ends in one clear line, the right exit code, and a sound store."""

import os
import random
import re
import socket
import subprocess

import pytest
from support import stores, tars
from support.registry import TestRegistry, cut, wrong_bytes

from layerkit import errors

LAYER = tars.archive(tars.directory("d"), tars.file("d/f", random.Random(1).randbytes(3 << 20)))


@pytest.fixture
def registry():
    """A registry with one image, `app:1`."""
    with TestRegistry() as running:
        running.add_image("app", "1", [LAYER])
        yield running


def message(outcome):
    """The one line of an error; a hint may stand below it and notes above it, nothing else."""
    lines = outcome.err.splitlines()
    others = ("hint: ", "warning: ", "note: ")
    (line,) = [each for each in lines if not each.startswith(others)]
    assert line.startswith("layerkit: ")
    return line


def assert_nothing_came(cli, root):
    """The store is empty, or holds only whole things and downloads that can go on."""
    listed = cli("images", "-q")
    assert (listed.code, listed.out) == (0, "")
    assert stores.faults(root) == []


def test_a_registry_that_is_down(cli, state_root):
    """No answer: the registry is named, and nothing is left behind."""
    with socket.socket() as closed:  # bound but not listening: nobody else can answer there
        closed.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{closed.getsockname()[1]}"
        outcome = cli("pull", "-q", f"{host}/app:1")

    assert outcome.code == errors.UnavailableError.exit_code
    assert host in message(outcome)
    assert_nothing_came(cli, state_root)
    assert stores.partials(state_root) == []


@pytest.mark.parametrize("name", ["app:2", "other:1", f"app@sha256:{'0' * 64}"])
def test_an_image_that_is_not_there(registry, cli, state_root, name):
    """An unknown tag, repository or digest is not found, and the image is named."""
    outcome = cli("pull", "-q", f"{registry.host}/{name}")

    assert outcome.code == errors.NotFoundError.exit_code
    assert f"{registry.host}/{name}" in message(outcome)
    assert_nothing_came(cli, state_root)
    assert stores.partials(state_root) == []


@pytest.mark.parametrize("what", ["/manifests/sha256:", "/blobs/"])
def test_bytes_that_do_not_have_their_digest(registry, cli, state_root, what):
    """A manifest or blob with other bytes than promised is refused and not kept."""
    image = registry.add_image("app", "1", [LAYER])
    registry.fault(what, wrong_bytes)

    outcome = cli("pull", "-q", f"{registry.host}/app@{image.descriptor.digest}")

    assert outcome.code == errors.IntegrityError.exit_code
    assert "digest" in message(outcome)
    assert_nothing_came(cli, state_root)


def test_a_wrong_layer_is_fetched_again_as_a_whole(registry, cli, state_root):
    """After bytes with the wrong digest, the next pull from a sound registry works."""
    image = registry.add_image("app", "1", [LAYER])
    registry.fault(f"/blobs/{image.layers[0].digest}", wrong_bytes, times=1)
    name = f"{registry.host}/app:1"
    assert cli("pull", "-q", name).code == errors.IntegrityError.exit_code

    outcome = cli("pull", "-q", name)

    assert (outcome.code, outcome.out, outcome.err) == (0, f"{name}\n", "")
    assert stores.faults(state_root) == []


def test_a_layer_that_never_arrives_whole(registry, cli, state_root):
    """A connection that ends at the same byte again and again is given up, its start is kept."""
    image = registry.add_image("app", "1", [LAYER])
    digest = image.layers[0].digest
    registry.fault(f"/blobs/{digest}", cut(1 << 20), times=1)
    registry.fault(f"/blobs/{digest}", cut(0))

    outcome = cli("pull", "-q", f"{registry.host}/app:1")

    assert outcome.code == errors.UnavailableError.exit_code
    assert digest.short in message(outcome)
    assert_nothing_came(cli, state_root)
    assert stores.partials(state_root) == [f"sha256-{digest.hex}"]


@pytest.fixture
def small_disk(tmp_path):
    """A folder on an ext4 of its own with little room."""
    image, folder = tmp_path / "disk.img", tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(3 << 20)
    folder.mkdir()
    subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", "-m", "0", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.root
@pytest.mark.debian("mkfs.ext4", "mount")
def test_a_full_disk(registry, cli, monkeypatch, small_disk):
    """No room: the message says so, and what is there stays usable and sound."""
    root = small_disk / "state"
    monkeypatch.setenv("LAYERKIT_ROOT", str(root))

    outcome = cli("pull", "-q", f"{registry.host}/app:1")

    assert outcome.code == errors.StoreFullError.exit_code
    assert "space" in message(outcome)
    assert_nothing_came(cli, root)


# As nobody, but able to read: the interpreter may lie in a folder that is closed to others.
AS_NOBODY = (
    "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
    "--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search",
    "--bounding-set=-all,+dac_read_search", "--no-new-privs", "--",
)  # fmt: skip


@pytest.mark.root
@pytest.mark.debian("setpriv")
@pytest.mark.parametrize("exists", [True, False], ids=["of somebody else", "not to be made"])
def test_a_state_directory_without_permission(registry, cli, layerkit_command, state_root, exists):
    """Who may not write there is told so, with the path, and nothing is made."""
    if exists:
        cli("images")
    before = sorted(os.walk(state_root))

    done = subprocess.run(
        [*AS_NOBODY, *layerkit_command, "pull", "-q", f"{registry.host}/app:1"],
        check=False,
        capture_output=True,
        text=True,
    )

    (line,) = [each for each in done.stderr.splitlines() if not each.startswith("hint: ")]
    assert (done.returncode, done.stdout) == (errors.StoreError.exit_code, "")
    assert line.startswith("layerkit: ")
    assert str(state_root) in line
    assert re.search("denied|read-?only", line, re.IGNORECASE)
    assert sorted(os.walk(state_root)) == before
