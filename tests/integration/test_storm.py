"""Many containers at once, killed in every way at moments chosen by chance: nothing is left of them."""

from __future__ import annotations

import collections
import contextlib
import os
import random
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from support import boxes, leaks, machines, networks
from support.machines import IMAGE, Machine
from support.processes import until
from support.trees import scan

from layerkit.ops.home import Home
from layerkit.ops.prune import UNLOCKED_AGE, prune

pytestmark = [
    pytest.mark.root,
    pytest.mark.debian("ip"),
    pytest.mark.skipif(boxes.obstacle() is not None, reason=str(boxes.obstacle())),
]

AT_ONCE = 10
SEED = 20
FIRST_PORT = 9000
SUMS = "find / -xdev -type f -exec md5sum {} + | sort | grep -v ' /etc/host\\| /etc/resolv'"


@pytest.fixture
def machine(tmp_path):
    """A host whose state directory has the image, and has had a container of it."""
    layout = machines.web_image(tmp_path)
    with networks.world() as world:
        machine = Machine(world, tmp_path / "state")
        machine.run("load", "-i", str(layout))
        machine("run", "--rm", IMAGE, "true")
        yield machine
        machine.remove_all()


class Storm:
    """What happens to containers: each gets a number, which is its port, and a fate."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        self.machine = machine
        begun = time.monotonic()
        machine("run", "--rm", IMAGE, "true")
        self.longest = (time.monotonic() - begun) * AT_ONCE
        """Seconds after which a process is killed at the latest: about what a start takes meanwhile."""
        self.folder = folder
        self.failures: list[object] = []
        self.fates = collections.Counter[str]()

    def suffer(self, number: int) -> None:
        """Run the container of this number, and end it in one of the ways."""
        chance = random.Random(SEED * 1000 + number)
        name = f"c{number}"
        options = ["--name", name, "--cidfile", str(self.folder / name)]
        options += ["--rm"] * chance.randrange(2)
        options += ["-p", f"{FIRST_PORT + number}:80"] * chance.randrange(2)
        fate = (
            self.end,
            self.stop,
            self.remove,
            self.crash,
            self.crash_remove,
            self.crash_monitor,
        )[number % 6]
        self.fates[fate.__name__] += 1
        fate(name, options, chance)

    def end(self, name: str, options: list[str], _chance: random.Random) -> None:
        """It ends by itself."""
        self.expect(3, "run", *options, IMAGE, "sh", "-c", "echo > /file; exit 3")

    def stop(self, name: str, options: list[str], _chance: random.Random) -> None:
        """It is stopped, as one should."""
        self.start(options)
        self.expect(0, "stop", "-t", "0", name)

    def remove(self, name: str, options: list[str], _chance: random.Random) -> None:
        """It is removed while it runs."""
        self.start(options)
        self.expect(0, "rm", "-f", name)

    def crash(self, name: str, options: list[str], chance: random.Random) -> None:
        """All that has to do with its start is killed, the monitor perhaps among it, perhaps not."""
        place = ["-d"] * chance.randrange(2)
        everything = chance.randrange(2)
        with self.begin("run", *place, *options, IMAGE, "sleep", "1000") as cli:
            self.wait_a_moment(cli, chance)
            if everything:
                kill_all(self.machine, name)
            cli.kill()

    def crash_remove(self, name: str, options: list[str], chance: random.Random) -> None:
        """The command that removes it is killed."""
        self.start(options)
        with self.begin("rm", "-f", name) as cli:
            self.wait_a_moment(cli, chance)
            cli.kill()

    def crash_monitor(self, name: str, options: list[str], _chance: random.Random) -> None:
        """Its monitor is killed."""
        self.start(options)
        assert kill_all(self.machine, name) > 0

    def start(self, options: list[str]) -> None:
        """Have it run in the background."""
        self.expect(
            0, "run", "-d", *options, IMAGE, "sh", "-c", "echo > /file; exec httpd -f -h /www"
        )

    def expect(self, code: int, *arguments: str) -> None:
        """A command that nobody disturbs ends as it should."""
        ran = self.machine.run(*arguments)
        if ran.code != code:
            self.failures.append((arguments, ran))

    def begin(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A command that will be killed."""
        nowhere = subprocess.DEVNULL
        return self.machine.begin(*arguments, stdout=nowhere, stderr=nowhere)

    def wait_a_moment(self, process: subprocess.Popen[bytes], chance: random.Random) -> None:
        """Let it get somewhere."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=chance.random() * self.longest)


def kill_all(machine: Machine, name: str) -> int:
    """Kill the command that started a container and what it forked, but no container; how many."""
    marks = f"\0--name\0{name}\0".encode(), f"LAYERKIT_ROOT={machine.root}\0".encode()
    count = 0
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            descriptor = os.pidfd_open(int(process.name))
            try:
                texts = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
                if all(mark in text for mark, text in zip(marks, texts, strict=True)):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                    count += 1
            finally:
                os.close(descriptor)
    return count


def left_in(root: Path) -> list[str]:
    """What is in the folders of containers, and in that of what is on its way."""
    return [str(path) for name in ("containers", "snapshots", "ingest") for path in (root / name).iterdir()]  # fmt: skip


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("count", [20, pytest.param(200, marks=pytest.mark.long)])
def test_nothing_is_left_of_a_storm(machine, tmp_path, count):
    """Whatever is killed, undisturbed commands work, and after ps, rm and prune all of it is gone."""
    world, root = machine.world, machine.root
    machine("unpack", IMAGE, str(tmp_path / "before"))
    sums = machine("run", "--rm", IMAGE, "sh", "-c", SUMS)
    mounts = leaks.mounts(root)
    cids = tmp_path / "cids"
    cids.mkdir()
    storm = Storm(machine, cids)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(storm.suffer, range(count)))

    assert storm.failures == []
    assert len(storm.fates) == 6
    machine("ps", "-a")
    machine.remove_all()
    assert machine.ids() == []
    identifiers = [path.read_text() for path in cids.iterdir()]
    until(lambda: leaks.processes(root) == [])
    until(lambda: world.interfaces() == [])
    assert world.published() == []
    assert machines.groups_of(identifiers) == []
    assert leaks.mounts(root) == mounts
    for port in range(FIRST_PORT, FIRST_PORT + count):
        world.host.listens(port).close()
    later = time.time() + UNLOCKED_AGE.total_seconds() + 60
    with Home(root) as home:
        prune(home, now=later, older_than=timedelta(0))
    assert left_in(root) == []

    machine("unpack", IMAGE, str(tmp_path / "after"))
    assert scan(tmp_path / "before") == scan(tmp_path / "after")
    assert machine("run", "--rm", IMAGE, "sh", "-c", SUMS) == sums
    machine("run", "-d", "--name", "c0", "-p", f"{FIRST_PORT}:80", IMAGE, "sleep", "1000")
    machine("exec", "c0", "touch", "/new")
    assert "A /new" in machine("diff", "c0")
