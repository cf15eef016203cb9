"""`cat` prints bytes and nothing else."""

from __future__ import annotations

import os
import subprocess

import pytest
from support import tars
from support.registry import TestRegistry

from layerkit.errors import NotFoundError, UsageError

BINARY = bytes(range(256)) * 5000


@pytest.fixture(scope="module")
def registry():
    """A registry with an image, `app:1`."""
    tar = tars.archive(
        tars.file("binary", BINARY),
        tars.file("motd", "hello\n"),
        tars.file(b"\xff", "odd name\n"),
        tars.directory("d\x1b[2J"),
    )
    with TestRegistry() as running:
        running.add_image("app", "1", [tar])
        yield running


@pytest.fixture
def name(registry):
    """The name of the image."""
    return f"{registry.host}/app:1"


@pytest.fixture
def pulled(name, cli):
    """The name of the image, which was pulled."""
    assert cli("pull", "-q", name).code == 0
    return name


def test_bytes_come_as_they_are(pulled, layerkit_command):
    """What is no text is not changed on its way."""
    done = subprocess.run(
        [*layerkit_command, "cat", f"{pulled}:/binary"], check=True, capture_output=True
    )

    assert (done.stdout, done.stderr) == (BINARY, b"")


def test_files_follow_one_another(pulled, cli):
    """Several files are printed in their order; names are bytes."""
    outcome = cli("cat", f"{pulled}:/motd", f"{pulled}:/\udcff", f"{pulled}:/motd")

    assert outcome == (0, "hello\nodd name\nhello\n", "")


def test_one_error_does_not_stop_the_others(pulled, cli):
    """What cannot be printed is told, the rest is printed, and the code is that of the failure."""
    outcome = cli("cat", f"{pulled}:/nope", f"{pulled}:/motd", f"{pulled}:/d\x1b[2J")

    assert outcome == (
        NotFoundError.exit_code,
        "hello\n",
        (
            f"layerkit: cannot read /nope of {pulled}: no such file or directory\n"
            f"layerkit: cannot read /d\\x1b[2J of {pulled}: it is a directory\n"
        ),
    )


@pytest.mark.parametrize("text", ["centos:7", "try:etc/motd"])
def test_a_path_is_wanted(cli, text):
    """Without `:/` there is nothing to print."""
    outcome = cli("cat", text)

    assert outcome == (
        UsageError.exit_code,
        "",
        f"layerkit: no path in '{text}': wanted IMAGE:/PATH or CONTAINER:/PATH\n",
    )


def test_an_image_in_the_registry_needs_no_pull(name, cli):
    """A note tells that it is read from there; afterwards there is no image here."""
    outcome = cli("cat", f"{name}:/motd", f"{name}:/motd")

    note = f"note: {name} is not here: it is read from the registry\n"
    assert outcome == (0, "hello\nhello\n", note)
    assert cli("images", "-q") == (0, "", "")


def test_a_reader_that_goes_away_is_no_error(pulled, layerkit_command):
    """With its pipe closed, cat ends as other programs do, and says nothing."""
    command = [*layerkit_command, "cat", *[f"{pulled}:/binary"] * 20]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.read(10) == BINARY[:10]
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


def test_a_full_disk_is_told(pulled, layerkit_command):
    """Output that cannot be written is an error of ours."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*layerkit_command, "cat", f"{pulled}:/binary"],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
        )

    assert done.returncode == 1
    assert done.stderr == b"layerkit: cannot write the output: No space left on device\n"


def test_what_is_here_needs_no_network_code(pulled, layerkit_command):
    """The modules that speak HTTP are not loaded for an image that is here."""
    done = subprocess.run(
        [*layerkit_command, "cat", f"{pulled}:/motd"],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONVERBOSE": "1"},
    )

    assert done.stdout == b"hello\n"
    assert b"import 'layerkit.ops.cat'" in done.stderr
    assert b"import 'requests'" not in done.stderr
