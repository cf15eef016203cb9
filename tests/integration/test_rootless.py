"""Containers of a user without privileges, with subordinate ids and with a single one.

Each command is a process of its own of that user, as in `support.users`.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pexpect import fdpexpect
from support import boxes, tars
from support.processes import until
from support.users import HOME, USER, as_user, command, layerkit

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(boxes.obstacle() is not None, reason=str(boxes.obstacle())),
]


def base() -> bytes:
    """A layer with busybox under all of its names, and users."""
    names = subprocess.run([boxes.BUSYBOX, "--list"], capture_output=True, text=True, check=True)
    links = [
        tars.symlink(f"bin/{name}", "busybox") for name in names.stdout.split() if name != "busybox"
    ]
    return tars.archive(
        tars.file("bin/busybox", boxes.BUSYBOX.read_bytes(), mode=0o755),
        *links,
        tars.file("etc/passwd", boxes.PASSWD),
        tars.file("etc/group", boxes.GROUP),
        tars.directory("tmp", 0o1777),
    )


TOP = tars.archive(
    tars.directory("srv/", 0o700, uid=1000, gid=1000),
    tars.file("srv/secret", "secret\n", mode=0o600, uid=1000, gid=1000),
    tars.file("etc/motd", "hello\n"),
)

DEV = {"fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout"}
DEV |= {"tty", "urandom", "zero"}
WAITING = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done"


def is_gone(pid):
    """Whether nothing runs under this pid any more; a corpse counts as gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


class User:
    """The commands of one user, whose folder is `home`."""

    def __init__(self, home, *, ranges):
        self.home = home
        self.ranges = ranges

    def __call__(self, *arguments, stdin=b""):
        return layerkit(self.home, *arguments, subordinate=self.ranges, stdin=stdin)

    def run(self, *arguments):
        """What a new container without a network wrote, which must end well."""
        ran = self("run", "--rm", "--network", "none", *arguments)
        assert ran.code == 0, ran
        return ran.out

    def left(self):
        """The containers' folders."""
        return list((self.home / "state/containers").iterdir())


@pytest.fixture(
    params=[
        pytest.param(True, marks=pytest.mark.debian("newuidmap", "newgidmap"), id="ranges"),
        pytest.param(False, id="one-id"),
    ]
)
def user(request, tmp_path):
    """A user with an image of two layers, `box:1`."""
    home = tmp_path / "home"
    home.mkdir()
    tars.oci_layout(home / "layout", [base(), TOP], name="box:1")
    made = User(home, ranges=request.param)
    assert made("load", "-q", "-i", str(HOME / "layout")).code == 0
    yield made
    if left := made("ps", "-aq").out.split():  # of a test that failed
        made("rm", "-f", *left)


def test_a_container_runs(user):
    """As root of its user namespace."""
    assert user.run("box:1", "id", "-u") == "0\n"
    assert user.left() == []


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 3"], 3),
        (["sh", "-c", "kill -9 $$; exit 4"], 4),
        (["nosuch"], 127),
        (["/etc"], 126),
        (["/etc/passwd"], 126),
    ],
    ids=[
        "RT-P01-true",
        "RT-P01-exit",
        "RT-P03-kill",
        "RT-P02-missing",
        "RT-P02-folder",
        "RT-P02-file",
    ],
)
def test_the_code_is_the_commands(user, command, code):
    """As for root."""
    assert user("run", "--rm", "--network", "none", "box:1", *command).code == code
    assert user.left() == []


def test_the_kernels_file_systems_are_there(user):
    """RT-F07, RT-F08: proc read-only where it must be, the usual devices, which work."""
    script = """
        echo 1 >/proc/sys/kernel/panic && echo written
        ls /dev | sort | tr '\\n' ' '; echo
        echo x >/dev/null
        head -c 3 /dev/zero | wc -c
        head -c 3 /dev/urandom | wc -c
        ls -A /sys/firmware | wc -l
        [ -e /sys/class/net/lo ] && echo lo
    """
    lines = user.run("box:1", "sh", "-c", script).splitlines()

    core = {"core"} if os.path.exists("/proc/kcore") else set()
    assert set(lines[0].split()) == core | DEV
    assert lines[1:] == ["3", "3", "0", "lo"]


def test_namespaces_are_its_own(user):
    """RT-N01, RT-N02, RT-N04: host name, processes, network, mounts, users."""
    script = "hostname; cat /etc/hostname; echo $HOSTNAME; cd /proc/self/ns; for each in mnt pid net uts ipc user; do readlink $each; done"
    lines = user.run("-h", "web1", "box:1", "sh", "-c", script).splitlines()

    assert lines[:3] == ["web1"] * 3
    ours = {
        os.readlink(f"/proc/self/ns/{name}") for name in ("mnt", "pid", "net", "uts", "ipc", "user")
    }
    assert ours.isdisjoint(lines[3:9])
    assert len(set(lines[3:9])) == 6


def test_cp_reads_what_belongs_to_another_id(user):
    """Files that only a subordinate id may read are copied out of a container that has ended."""
    script = "umask 077; echo mine >/tmp/own; chown 1000 /tmp/own || true"
    assert user("run", "--name=c", "--network=none", "box:1", "sh", "-c", script).code == 0

    assert user("cp", "c:/tmp/own", str(HOME / "copy")).code == 0

    assert (user.home / "copy").read_text() == "mine\n"


def test_volumes_are_removed_with_what_belongs_to_another_id(user):
    """A folder of a subordinate id in a volume goes with it."""
    script = "mkdir -m 700 /v/own; touch /v/own/file; chown -R 1000 /v/own || true"
    volume = ("--name=c", "--network=none", "-v", "data:/v")
    assert user("run", *volume, "box:1", "sh", "-c", script).code == 0
    assert user("rm", "c").code == 0

    assert user("volume", "rm", "data").code == 0

    assert user("volume", "ls", "-q").out == ""


def test_rights_are_those_of_any_container(user):
    """RT-P11, RT-P14: docker's capabilities, in the user namespace alone, and its filter."""
    found = dict(
        line.split(":\t", 1)
        for line in user.run("box:1", "cat", "/proc/self/status").splitlines()
        if ":\t" in line
    )

    assert [found[f"Cap{each}"] for each in ("Prm", "Eff", "Bnd")] == ["00000000a80425fb"] * 3
    assert found["Seccomp"] == "2"


def test_environment_and_folder(user):
    """RT-P07, RT-F15: variables as wished, the working directory made where it is missing."""
    out = user.run("-e", "A=1", "-w", "/a/b", "box:1", "sh", "-c", "echo $A; pwd; stat -c %a:%u .")

    assert out == "1\n/a/b\n755:0\n"


def test_input_is_passed_on(user):
    """RT-T11: byte for byte, to its end."""
    data = b"some\n" * 100_000
    ran = user("run", "-i", "--rm", "--network", "none", "box:1", "md5sum", stdin=data)

    assert (ran.code, ran.out.split()[0]) == (0, hashlib.md5(data).hexdigest())


def test_volumes_are_the_users(user):
    """RT-F12: what the container's root writes belongs to the user, and read-only is read-only."""
    (user.home / "shared").mkdir(mode=0o777)
    (user.home / "shared").chmod(0o777)
    place = f"{HOME}/shared"
    user.run("-v", f"{place}:/v", "box:1", "sh", "-c", "echo a >/v/new")
    refused = user(
        *("run", "--rm", "--network", "none", "-v", f"{place}:/v:ro"),
        *("box:1", "touch", "/v/other"),
    )

    status = (user.home / "shared/new").stat()
    assert (status.st_uid, status.st_gid) == (USER, USER)
    assert (refused.code, "Read-only" in refused.err) == (1, True)


def test_other_users_of_the_container(user):
    """RT-P09: those that are mapped, with groups; the others are refused by name."""
    known = user("run", "--rm", "--network", "none", "-u", "app", "box:1", "id")
    far = user("run", "--rm", "--network", "none", "-u", "100000", "box:1", "id")
    nobody = user("run", "--rm", "--network", "none", "-u", "nosuch", "box:1", "id")

    if user.ranges:
        assert known.out == "uid=1000(app) gid=1000(app) groups=10(wheel),29(audio),1000(app)\n"
    else:
        assert known.code == 125
        assert "cannot become user 1000: the user namespace has no such id" in known.err
    assert far.code == 125
    assert "cannot become user 100000: the user namespace has no such id" in far.err
    assert "unable to find user nosuch" in nobody.err
    assert user.left() == []


def test_owners_of_the_image_are_seen(user):
    """Those that the user has an id for; the others are root's and written down."""
    out = user.run("box:1", "stat", "-c", "%u:%g %a", "/srv/secret")

    assert out == ("1000:1000 600\n" if user.ranges else "0:0 600\n")


CHANGES = "A /d\nA /d/e\nC /etc\nD /etc/group\nC /etc/passwd\nA /n\nC /srv\nA /srv/mine\n"


def test_changes_are_read_and_kept(user):
    """RT-F01, RT-F02: by diff, commit, cat, ls, export and a snapshot, also those of other ids; rm leaves nothing."""
    script = "echo a>/n; rm /etc/group; chmod 600 /etc/passwd; mkdir -p /d/e; echo b>/srv/mine"
    own = (
        "; chown -R 1000:1000 /d /srv/mine; chmod 700 /d; chmod 600 /srv/mine"
        if user.ranges
        else ""
    )
    ran = user("run", "--name", "c", "--network", "none", "box:1", "sh", "-c", script + own)
    assert ran.code == 0, ran

    assert sorted(user("diff", "c").out.splitlines()) == sorted(CHANGES.splitlines())
    assert user("cat", "c:/srv/mine").out == "b\n"
    assert user("ls", "c:/d").out == "e\n"
    assert user("commit", "c", "new:1").code == 0
    owner = user.run("new:1", "stat", "-c", "%u %a", "/srv/mine")
    assert owner == ("1000 600\n" if user.ranges else "0 644\n")
    assert user("export", "-o", f"{HOME}/out.tar", "c").code == 0
    assert user("snapshot", "create", "c", "s").code == 0
    assert user("cat", "c@s:/srv/mine").out == "b\n"
    assert user("snapshot", "rm", "c@s").code == 0
    assert user("rm", "c").code == 0
    assert user("rmi", "new:1", "box:1").code == 0
    assert user.left() == []
    assert list((user.home / "state/trees").iterdir()) == []
    assert list((user.home / "state/ingest").iterdir()) == []


def test_a_folder_that_was_replaced_is_told_from_outside(user):
    """What marks it is recorded with the container, so that root reads it right as well."""
    user("run", "--name", "c", "--network", "none", "box:1", "sh", "-c", "rm -r /srv; mkdir /srv")

    theirs = user("diff", "c").out
    environment = {"PATH": os.environ["PATH"], "LAYERKIT_ROOT": str(user.home / "state")}
    program = Path(sys.executable).with_name("layerkit")
    ours = subprocess.run(
        [program, "diff", "c"], check=True, capture_output=True, text=True, env=environment
    )
    assert (theirs, ours.stdout) == ("C /srv\nD /srv/secret\n",) * 2
    assert user("rm", "c").code == 0


def test_a_container_goes_on(user):
    """RT-L01, RT-L02, RT-T13, RT-L09, RT-L11: exec, logs, ps, inspect, stop, start, from commands of the same user."""
    started = user("run", "-d", "--name", "c", "--network", "none", "box:1", "sh", "-c", WAITING)
    assert started.code == 0, started

    assert user("exec", "c", "sh", "-c", "touch /made; exit 5").code == 5
    assert user("exec", "-i", "c", "cat", stdin=b"in").out == "in"
    for each in ("user", "mnt", "pid"):
        mine = user("exec", "c", "readlink", f"/proc/self/ns/{each}").out
        assert mine == user("exec", "c", "readlink", f"/proc/1/ns/{each}").out != ""
    assert "Up" in user("ps").out
    if user.ranges:
        assert user("exec", "-u", "1000", "c", "id", "-u").out == "1000\n"
    assert user("stop", "-t", "60", "c").code == 0
    assert user("wait", "c").out == "7\n"
    assert user("exec", "c", "true").code != 0
    assert user("start", "c").code == 0
    assert user("exec", "c", "ls", "/made").out == "/made\n"
    assert user("kill", "c").code == 0
    assert user("wait", "c").out == "137\n"
    assert user("rm", "c").code == 0
    assert user.left() == []


def test_the_death_of_the_monitor_is_that_of_the_container(user):
    """RT-L07: nothing of it runs on, and it can be removed."""
    user("run", "-d", "--name", "c", "--network", "none", "box:1", "sleep", "1000")
    (state,) = (user.home / "state/containers").glob("*/state.json")
    first = json.loads(state.read_bytes())["pid"]
    monitor = int(Path(f"/proc/{first}/stat").read_text().rpartition(")")[2].split()[1])

    os.kill(monitor, signal.SIGKILL)

    until(lambda: is_gone(first))
    assert "Exited (255)" in user("ps", "-a").out
    assert user("rm", "c").code == 0
    assert user.left() == []


def test_containers_share_a_network(user):
    """The second one joins the user namespace that the network belongs to."""
    user("run", "-d", "--name", "c", "--network", "none", "box:1", "sleep", "1000")
    script = "cd /proc/self/ns; readlink net; readlink user"
    theirs = user("exec", "c", "sh", "-c", script).out

    ran = user(
        *("run", "--rm", "--network", "container:c", "box:1"),
        *("sh", "-c", script),
    )

    assert (ran.code, ran.out) == (0, theirs), ran
    assert user("rm", "-f", "c").code == 0


def test_the_hosts_network_is_shared(user):
    """RT-W10: with what /sys tells of it, read-only."""
    ran = user("run", "--rm", "--network", "host", "box:1", "readlink", "/proc/self/ns/net")

    assert (ran.code, ran.out.strip()) == (0, os.readlink("/proc/self/ns/net")), ran


def test_a_terminal_is_one(user):
    """RT-T01, RT-T03: of the container's own devpts, which has the size of the user's."""
    pid, master = os.forkpty()
    if pid == 0:
        arguments = ("run", "-it", "--rm", "--network", "none", "box:1", "sh")
        os._exit(as_user(user.home, lambda: os._exit(command(*arguments)), subordinate=user.ranges))
    screen = fdpexpect.fdspawn(master, timeout=60)
    screen.expect_exact("/ # ")
    screen.send("tty; echo $((6*7)); echo ok >/dev/console\n")
    screen.expect_exact("/dev/pts/0")
    screen.expect_exact("42")
    screen.expect_exact("ok")
    screen.send("exit 7\n")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    screen.close()
    assert user.left() == []


def test_without_a_network_it_says_why(user):
    """A container starts all the same, with a warning of one line."""
    ran = user("run", "--rm", "box:1", "ls", "/sys/class/net")

    if "cannot use /dev/net/tun" in ran.err or "is not installed" in ran.err:
        assert ran.out == "lo\n"
        assert "warning: the container has no network but its own loopback: pasta" in ran.err
    assert ran.code == 0
