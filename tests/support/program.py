"""The installed program with a state directory and a busybox image of its own, as a user calls it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pexpect

from layerkit.ops import rm
from layerkit.ops.home import Home
from support import boxes, cgroups

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

IMAGE = "box:1"
PROMPT = "/ # "
PATIENCE = 60
"""Seconds after which something that a test waits for counts as hanging."""
_KEPT = ("PATH", "PYTHONPATH", "TMPDIR", "LANG", "COVERAGE_PROCESS_START")


@dataclass(frozen=True)
class Result:
    """How a command ended, and what it wrote."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """The standard output without the last line feed, with an assertion that all went well."""
        assert self.code == 0, self
        return self.out.decode().rstrip("\n")


class Program:
    """Calls layerkit on the state directory `root`, with `home` as the user's home.

    `command` are the words to begin with, `environment` is all that it gets of that.
    """

    def __init__(self, root: Path, home: Path) -> None:
        self.root = root
        self.command = [str(Path(sys.executable).with_name("layerkit")), "--root", str(root)]
        self.environment = {key: os.environ[key] for key in _KEPT if key in os.environ}
        self.environment |= {"HOME": str(home), "TERM": "xterm"}

    def __call__(self, *arguments: str | Path, stdin: bytes = b"") -> Result:
        """Run a command to its end."""
        done = subprocess.run(
            [*self.command, *arguments],
            input=stdin,
            capture_output=True,
            env=self.environment,
            timeout=PATIENCE,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def run(self, *arguments: str | Path, stdin: bytes = b"") -> Result:
        """Run `run`, without the host's networks."""
        return self("run", *self.alone(arguments), stdin=stdin)

    @staticmethod
    def alone(arguments: Sequence[str | Path]) -> list[str | Path]:
        """Arguments of `run` or `create` for a container that touches no network of the host."""
        return ["--network", "none", *arguments]

    def begin(self, *arguments: str | Path, **options: Any) -> subprocess.Popen[bytes]:
        """Start a command; to be used with `with`."""
        return subprocess.Popen(
            [*self.command, *arguments],
            env=self.environment,
            stdin=options.pop("stdin", subprocess.DEVNULL),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )

    def spawn(self, *arguments: str | Path) -> pexpect.spawn:
        """Start a command on a terminal of 30 lines and 100 columns."""
        program, *options = [*self.command, *map(str, arguments)]
        return pexpect.spawn(
            program,
            options,
            env=self.environment,
            encoding="utf-8",
            dimensions=(30, 100),
            timeout=PATIENCE,
        )

    def inspect(self, container: str) -> dict[str, Any]:
        """What `inspect` says."""
        (found,) = json.loads(self("inspect", "--type", "container", container).text)
        assert isinstance(found, dict)
        return found

    def status(self, container: str) -> str:
        """What `ps` says of a container, empty if there is none."""
        name = f"name=^{container}$"
        return self("ps", "-a", "--filter", name, "--format", "{{.Status}}").text

    def pid(self, container: str) -> int:
        """The first process of a container on the host."""
        pid = self.inspect(container)["State"]["Pid"]
        assert pid > 0
        return int(pid)

    def remove_all(self) -> None:
        """Remove every container, whatever it does."""
        with Home(self.root) as home:
            for each in home.store.database.containers():
                rm.remove(home, each, force=True, volumes=True)


def make(folder: Path) -> Program:
    """A program whose state directory in `folder` has the image `IMAGE`."""
    (folder / "home").mkdir()
    boxes.make_image(folder / "root")
    program = Program(folder / "state", folder / "home")
    archive = shutil.make_archive(str(folder / "box"), "tar", folder / "root")
    assert program("import", archive, IMAGE).code == 0
    return program


def cleaned(program: Program) -> Iterator[Program]:
    """For a fixture: the program, whose containers are removed after the test."""
    try:
        yield program
    finally:
        with Home(program.root) as home:
            identifiers = [each.id for each in home.store.database.containers()]
        program.remove_all()
        assert [place for each in identifiers for place in cgroups.folders_named(each)] == []


def parent_of(pid: int) -> int:
    """The parent of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def is_gone(pid: int) -> bool:
    """Whether nothing runs under this pid any more; a corpse counts as gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_until(condition: Any, what: str) -> None:
    """Wait for something that happens in another process."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.02)
