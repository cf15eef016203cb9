"""A real image of five layers looked into: in a real registry, in the store, and on a disk."""

from __future__ import annotations

import hashlib
import json
import os

import pytest
from support import images
from support.debian_registry import PROGRAM, debian_registry
from support.lookers import looker
from support.trees import scan

from layerkit.ops.cat import cat

pytestmark = [
    pytest.mark.root,
    pytest.mark.debian(PROGRAM, "skopeo", *images.FIVE_LAYERS_PROGRAMS),
    pytest.mark.timeout(600),  # the first one builds the image
]


@pytest.fixture(scope="module")
def name(tmp_path_factory):
    """The name of the image in a registry."""
    layout = images.five_layers()
    with debian_registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry.push(layout, "five:test")


COMMANDS = [
    ("layers", "--format", "json", "--no-trunc"),
    ("layers", "--files"),
    ("ls", "-l"),
    ("ls", "-lR"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_registry_shows_what_a_pull_brings(name, cli, command):
    """Each command prints the same of an image before and after it is pulled."""
    before = cli(*command, name)
    assert cli("pull", "-q", name).code == 0
    after = cli(*command, name)

    assert (before.code, after.code) == (0, 0)
    assert before.out == after.out
    assert len(after.out.splitlines()) >= 5


def test_every_file_has_the_bytes_that_unpack_writes(name, cli, state_root, tmp_path):
    """What cat gives of each file is what lies in the unpacked tree."""
    assert cli("pull", "-q", name).code == 0
    assert cli("unpack", name, tmp_path / "out").code == 0
    files = {path: each for path, each in scan(tmp_path / "out").items() if each.kind == "file"}

    with looker(state_root) as found:
        image = found.find(name)
        wrong = [path for path in files if _hash(cat(image, b"/" + path)) != files[path].sha256]

    assert len(files) > 5000
    assert wrong == []


def _hash(pieces):
    hashed = hashlib.sha256()
    for piece in pieces:
        hashed.update(piece)
    return hashed.hexdigest()


@pytest.mark.parametrize(
    ("path", "begin"),
    [
        ("/etc/passwd", "root:x:0:0:"),
        ("/etc/passwd.copy", "root:x:0:0:"),
        ("/usr/lib/os-release", "PRETTY_NAME="),
        ("/opt/app/node_modules/package-3/lib/new.js", "again\n"),
        ("/opt/app/node_modules/package-7/lib/deep/er/main.js", "exports.n = 0\n"),
    ],
)
def test_a_file_is_read_from_the_registry(name, cli, path, begin):
    """Files of every layer, and behind links, come without a pull."""
    outcome = cli("cat", f"{name}:{path}")

    assert outcome.code == 0
    assert outcome.out.startswith(begin)


@pytest.mark.parametrize("path", ["/etc/os-release", "/opt/app/vi", "/usr/share/perl5"])
def test_what_upper_layers_deleted_is_not_found(name, cli, path):
    """Names that a layer removed are gone, also for who reads from the registry."""
    outcome = cli("cat", f"{name}:{path}")

    assert (outcome.code, outcome.out) == (3, "")


def test_layers_tell_what_a_layer_did(name, cli):
    """The fourth layer's changes are those that were made."""
    lines = cli("layers", "--files", "--format", "json", "--layer", "4", name).out.splitlines()
    changes = {each["path"]: each["kind"] for each in map(json.loads, lines)}

    packages = "/opt/app/node_modules"
    assert changes[f"{packages}/package-3/lib/new.js"] == "A"
    assert changes[f"{packages}/package-5"] == "C"
    assert changes["/etc/passwd.copy"] == "A"
    assert changes["/opt/app"] == "C"
    assert os.path.dirname(packages) in changes
