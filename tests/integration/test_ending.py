"""Stop, kill, wait and remove, for containers in every state."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from support import boxes
from support.processes import child, until

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(boxes.obstacle() is not None, reason=str(boxes.obstacle())),
]
POLITE = "trap 'exit 5' TERM; trap 'exit 6' USR1; echo ready; while :; do sleep 0.05; done"
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.05; done"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A busybox root as a tar."""
    place = tmp_path_factory.mktemp("busybox")
    root = boxes.make_image(place / "root")
    subprocess.run(["tar", "-C", root, "-cf", place / "root.tar", "."], check=True)
    return place / "root.tar"


@pytest.fixture
def begin(cli, archive, state_root):
    """Brings a container called `c` into a state, running `script`; at the end it is removed."""
    assert cli("import", archive, "box:1").code == 0

    def begin(state, script=POLITE, *options):
        words = ("--name", "c", *options, "--network", "none", "box:1", "sh", "-c", script)
        if state == "created":
            assert cli("create", *words).code == 0
        elif state == "exited":
            assert cli("run", *words[:-1], "exit 3").code == 3
        else:
            assert cli("run", "-d", *words).code == 0
            (folder,) = (state_root / "containers").iterdir()
            until(
                lambda: (
                    b"ready" in (folder / "log").read_bytes() if (folder / "log").exists() else 0
                )
            )
        if state == "lost":
            os.kill(monitor_of(state_root), signal.SIGKILL)
            until(lambda: inspected(cli)["Status"] == "exited")

    yield begin
    cli("rm", "-f", "c")
    assert list((state_root / "containers").iterdir()) == []


def monitor_of(state_root):
    """The pid of the monitor of the only container."""
    (folder,) = (state_root / "containers").iterdir()
    pid = json.loads((folder / "state.json").read_text())["pid"]
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("PPid:")[2].split()[0])


def inspected(cli):
    """The state of the container."""
    return json.loads(cli("inspect", "-f", "{{json .State}}", "c").out)


@pytest.mark.parametrize(
    ("state", "command", "code", "out", "err"),
    [
        ("created", ["stop", "c"], 0, "c\n", ""),
        ("exited", ["stop", "c"], 0, "c\n", ""),
        ("lost", ["stop", "c"], 0, "c\n", ""),
        ("running", ["stop", "c"], 0, "c\n", ""),
        ("created", ["kill", "c"], 1, "", "is not running"),
        ("exited", ["kill", "c"], 1, "", "is not running"),
        ("lost", ["kill", "c"], 1, "", "is not running"),
        ("running", ["kill", "c"], 0, "c\n", ""),
        ("created", ["wait", "c"], 0, "0\n", ""),
        ("exited", ["wait", "c"], 0, "3\n", ""),
        ("lost", ["wait", "c"], 0, "255\n", ""),
        ("created", ["rm", "c"], 0, "c\n", ""),
        ("exited", ["rm", "c"], 0, "c\n", ""),
        ("lost", ["rm", "c"], 0, "c\n", ""),
        ("running", ["rm", "c"], 1, "", "it is running"),
        ("running", ["rm", "-f", "c"], 0, "c\n", ""),
        ("created", ["attach", "--no-stdin", "c"], 1, "", "is not running"),
        ("exited", ["exec", "c", "true"], 1, "", "is not running"),
        ("lost", ["exec", "c", "true"], 1, "", "is not running"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else str(each)[:8],
)
def test_each_state(cli, begin, state, command, code, out, err):
    """What there is nothing to do for is done; what needs a process is refused without one."""
    begin(state)

    outcome = cli(*command)

    assert (min(outcome.code, 1), outcome.out) == (code, out)
    assert err in outcome.err


def test_a_monitor_at_its_end_is_no_monitor(cli, begin, state_root):
    """Who still gets through to one that answers nobody is told what holds then."""
    begin("created")
    (folder,) = (state_root / "containers").iterdir()

    def close_on_everyone():
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            os.chdir(folder)
            listener.bind("attach.sock")
            listener.listen()
            while True:
                listener.accept()[0].close()

    with child(close_on_everyone):
        until((folder / "attach.sock").exists)
        outcome = cli("exec", "c", "true")
    (folder / "attach.sock").unlink()

    assert outcome == (125, "", "layerkit: container c is not running\n")


def test_a_stop_asks_first(cli, begin):
    """RT-L02: a container that handles the signal ends by its own code, before stop comes back."""
    begin("running")

    assert cli("stop", "c").code == 0

    assert (inspected(cli)["Status"], inspected(cli)["ExitCode"]) == ("exited", 5)


@pytest.mark.parametrize("how", [["-s", "USR1"], []], ids=["option", "container"])
def test_a_stop_has_a_signal(cli, begin, how):
    """That of the option, else the container's own."""
    begin("running", POLITE, *([] if how else ["--stop-signal", "USR1"]))

    assert cli("stop", *how, "c").code == 0
    assert inspected(cli)["ExitCode"] == 6


def test_a_stop_kills_who_does_not_end(cli, begin):
    """RT-L02: as soon as its time is over."""
    begin("running", STUBBORN)

    assert cli("stop", "-t", "0", "c").code == 0
    assert inspected(cli)["ExitCode"] == 137


def test_a_signal_need_not_end(cli, begin):
    """One that is handled, or ignored, leaves the container running."""
    begin("running", STUBBORN)

    assert cli("kill", "-s", "TERM", "c").code == 0
    assert inspected(cli)["Status"] == "running"
    assert cli("kill", "c").code == 0
    assert cli("wait", "c").out == "137\n"


def test_a_wait_ends_with_the_container(cli, begin, layerkit_command, state_root):
    """Who waits gets the code when there is one, also of a container that is removed then."""
    begin("running", POLITE, "--rm")
    place = Path(f"/proc/{monitor_of(state_root)}/fd")

    def sockets():
        return sum("socket:" in os.readlink(each) for each in place.iterdir())

    until(lambda: sockets() == 1)  # whoever started it has left
    with subprocess.Popen([*layerkit_command, "wait", "c"], stdout=subprocess.PIPE) as waiting:
        until(lambda: sockets() == 2)
        assert cli("stop", "c").code == 0
        assert waiting.stdout.read() == b"5\n"


def test_a_lost_container_starts_again(cli, begin):
    """RT-L07: after its monitor was killed nothing is in the way of another run."""
    begin("lost")

    assert inspected(cli)["ExitCode"] == 255
    assert cli("start", "c").out == "c\n"
    assert inspected(cli)["Status"] == "running"
    assert cli("stop", "c").code == 0
    assert inspected(cli)["ExitCode"] == 5


def test_nothing_is_left_of_one_that_removes_itself(cli, begin, state_root):
    """RT-L13: with --rm neither folder nor name stays, also when there is no such program."""
    assert cli("run", "--rm", "--name", "c", "--network", "none", "box:1", "true").code == 0
    assert cli("run", "--rm", "--name", "c", "--network", "none", "box:1", "nosuch").code == 127

    assert cli("ps", "-aq").out == ""
    assert list((state_root / "containers").iterdir()) == []
