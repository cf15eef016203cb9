"""docker and podman with a place of their own: what they pull is gone afterwards, and so are they."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCKER_PROGRAMS = ("dockerd", "docker")
PODMAN_PROGRAMS = ("podman",)
_FIRST_DOCKER_WITH_ZSTD = 23
_NO_NETWORK = ("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false")
_READY = "API listen on"
_START_LIMIT = 60
# podman keeps locks and events outside of its folders where nobody says otherwise.
_PODMAN_CONFIGURATION = """\
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
"""


class CannotStartError(Exception):
    """A daemon ended instead of starting, for a reason that is this machine's."""


class Pulled(NamedTuple):
    """What an engine has after a pull: the image id and the manifest's digest, both in hex."""

    id: str
    digest: str


@dataclass(frozen=True, slots=True)
class Engine:
    """A program that pulls and keeps images: how to call it, and with what kind of layers."""

    command: tuple[str, ...]
    pull_options: tuple[str, ...] = ()
    knows_zstd: bool = True

    def run(self, *arguments: str) -> str:
        """What it prints."""
        line = [*self.command, *arguments]
        done = subprocess.run(
            line, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        return done.stdout.strip()

    def pull(self, name: str) -> Pulled:
        """Pull an image; what it is now."""
        self.run("pull", "-q", *self.pull_options, name)
        (image,) = json.loads(self.run("image", "inspect", name))
        (target,) = image["RepoDigests"]
        return Pulled(image["Id"].removeprefix("sha256:"), target.rpartition("sha256:")[2])


def podman(folder: Path, *, driver: str = "vfs") -> Engine:
    """podman with all that it keeps in `folder`. Needs root."""
    folder.mkdir(exist_ok=True)
    configuration = folder / "containers.conf"
    configuration.write_text(_PODMAN_CONFIGURATION)
    place = ("env", f"--chdir={folder}", f"CONTAINERS_CONF={configuration}")
    # Not with the whole path: it refuses a run root with more than 50 bytes.
    options = ("--root=root", "--runroot=run", "--tmpdir=tmp", f"--storage-driver={driver}")
    return Engine((*place, "podman", *options), ("--tls-verify=false",))


@contextmanager
def docker(*, driver: str = "vfs", network: bool = False) -> Iterator[Engine]:
    """docker with a daemon of its own while the block runs, without any network. Needs root.

    With `network` it makes its bridge and its firewall in the namespace of the caller. Raises `CannotStartError` with the daemon's last words.
    """
    # Not in the folder of a test: the path of a socket has at most 107 bytes.
    with (
        tempfile.TemporaryDirectory(prefix="dockerd-") as name,
        _daemon(Path(name), driver, network),
    ):
        command = ("docker", f"--config={name}", f"--host=unix://{name}/socket")
        found = Engine(command)
        version = found.run("version", "--format", "{{.Server.Version}}")
        yield Engine(command, knows_zstd=int(version.split(".")[0]) >= _FIRST_DOCKER_WITH_ZSTD)


@contextmanager
def _daemon(folder: Path, driver: str, network: bool) -> Iterator[None]:
    log = folder / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            _daemon_command(folder, driver, network),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        ) as process,
    ):
        try:
            _wait_until_it_listens(process, log)
            yield
        finally:
            process.terminate()  # it ends its containerd, too


def _daemon_command(folder: Path, driver: str, network: bool) -> list[str]:
    configuration = folder / "daemon.json"
    configuration.write_text("{}")  # the machine's own may contradict an option here
    return [
        *("unshare", "--mount"),  # what it mounts goes with it, however it ends
        "dockerd",
        f"--config-file={configuration}",
        f"--data-root={folder / 'data'}",
        f"--exec-root={folder / 'exec'}",
        f"--pidfile={folder / 'pid'}",
        f"--host=unix://{folder / 'socket'}",
        f"--storage-driver={driver}",
        *(() if network else _NO_NETWORK),
    ]


def _wait_until_it_listens(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_LIMIT
    while process.poll() is None and time.monotonic() < deadline:
        if _READY in log.read_text():
            return
        time.sleep(0.02)
    raise CannotStartError(f"dockerd cannot start: {_last_words(log.read_text())}")


def _last_words(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
