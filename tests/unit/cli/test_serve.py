"""`layerkit serve` as the program: what it says, and how it ends."""

import json
import os
import signal
import socket
import subprocess

import pytest
from support import homes, tars
from support.serving import program, read_all

from layerkit.errors import LayerkitError, UsageError
from layerkit.ops.home import Home

LAYERS = [tars.archive(tars.file("a", os.urandom(1 << 20) * 20))]
HEAD = b"GET /v2/a%1b[2Jb/tags/list HTTP/1.1\r\nConnection: close\r\n\r\n"


@pytest.fixture
def image(state_root, tmp_path):
    """An image in the store, with a large layer."""
    with Home(state_root) as home:
        return homes.load_layers(home, tmp_path / "layout", LAYERS, name="docker.io/library/app:1")


def connect(address):
    """A connection to HOST:PORT."""
    host, port = address.split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def ask(address, head):
    """All that comes back."""
    with connect(address) as connection:
        connection.sendall(head)
        return read_all(connection)


def test_it_says_where_it_is(layerkit_command, state_root, tmp_path):
    """The first line on stdout names the state directory and the address, with the port it got."""
    line = [*layerkit_command, "serve", "--addr", "127.0.0.1:0"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        said = process.stdout.readline()
        process.terminate()

    start, _, port = said.strip().rpartition(":")
    assert start == f"Serving {state_root} at http://127.0.0.1"
    assert int(port) > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(layerkit_command, tmp_path, number):
    """Ctrl-C and SIGTERM are the usual way to end it: the code is 0, and nothing is said."""
    with program(layerkit_command, errors=tmp_path / "err") as (process, _):
        process.send_signal(number)

        assert process.wait() == 0
    assert (tmp_path / "err").read_bytes() == b""


def test_a_signal_ends_what_is_being_sent(layerkit_command, image, tmp_path):
    """Nobody waits for a client that has half of a layer, or for one that is idle."""
    head = f"GET /v2/app/blobs/{image.layers[0].blob} HTTP/1.1\r\n\r\n".encode()
    with (
        program(layerkit_command, errors=tmp_path / "err") as (process, address),
        connect(address),
        connect(address) as busy,
    ):
        busy.sendall(head)
        begin = busy.recv(1000)
        process.terminate()

        assert process.wait() == 0
        assert len(begin + read_all(busy)) < 20 << 20
    assert " of 2" in (tmp_path / "err").read_text()


def test_requests_are_logged(layerkit_command, tmp_path):
    """One line for each, which does nothing to a terminal."""
    with program(layerkit_command, errors=tmp_path / "err") as (_, address):
        ask(address, HEAD.replace(b"%1b", b"\\"))
        ask(address, b"GET /v2/" + b"x" * 1000 + HEAD[8:])
        ask(address, b"\x1b[2J\r\n\r\n")
    first, second, third = (tmp_path / "err").read_text().splitlines()

    client, _, rest = first.partition(" ")
    assert client.startswith("127.0.0.1:")
    assert rest.startswith('"GET /v2/a\\[2Jb/tags/list" 400 ')
    assert len(second) < 600
    assert third.partition(" ")[2].startswith('" " 400 ')


def test_requests_are_logged_as_json(layerkit_command, tmp_path):
    """With --progress json each line is an object."""
    with program(layerkit_command, "--progress", "json", errors=tmp_path / "err") as (_, address):
        answer = ask(address, b"GET /v2/ HTTP/1.1\r\nConnection: close\r\n\r\n")
    record = json.loads((tmp_path / "err").read_text())

    assert answer.endswith(b"{}")
    assert record.pop("client").startswith("127.0.0.1:")
    assert record == {
        "event": "request",
        "method": "GET",
        "target": "/v2/",
        "status": 200,
        "sent": 2,
        "length": 2,
        "problem": "",
    }


def test_the_log_can_be_silent(layerkit_command, tmp_path):
    """With --progress none nothing is said on stderr."""
    with program(layerkit_command, "--progress", "none", errors=tmp_path / "err") as (_, address):
        ask(address, HEAD)
    assert (tmp_path / "err").read_bytes() == b""


@pytest.mark.parametrize("progress", ["auto", "none"])
def test_an_open_address_is_always_warned_of(layerkit_command, tmp_path, progress):
    """Before anything else the user reads that others can reach the images."""
    line = [*layerkit_command, "--progress", progress, "serve", "--addr", "0.0.0.0:0"]
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline().startswith("Serving ")
        process.terminate()
        warning = process.stderr.readline()

    assert warning.startswith("warning: http://0.0.0.0:")
    assert warning.endswith("whoever reaches it can read every image here\n")


def test_a_bad_address_is_refused(cli):
    """Before anything is opened."""
    outcome = cli("serve", "--addr", "5000")

    assert outcome.code == UsageError.exit_code
    assert outcome.err == "layerkit: invalid address '5000': wanted HOST:PORT, as 127.0.0.1:5000\n"


def test_a_port_in_use_is_told(cli):
    """One line says which."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        outcome = cli("serve", "--addr", address)

    assert outcome.code == LayerkitError.exit_code
    assert outcome.err == f"layerkit: cannot listen at {address}: address already in use\n"
