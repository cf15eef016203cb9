"""A machine with layerkit on it: whole commands in a network and a state directory of its own.

The commands are processes on the host of a `networks.World`, so what they publish, and what they do to
the firewall, is that world's and ends with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from layerkit.sandbox.cgroups.group import PARENT
from support import boxes, cgroups, tars
from support.processes import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from support.networks import Namespace, World

IMAGE = "web:1"
"""Busybox with all of its names, users, and a folder /www."""
PROGRAM = Path(sys.executable).with_name("layerkit")


class Ran(NamedTuple):
    """What a command ended with and wrote."""

    code: int
    out: str
    err: str


class Machine:
    """The host of `world` with layerkit's state in `root`."""

    def __init__(self, world: World, root: Path) -> None:
        self.world = world
        self.root = root
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("LAYERKIT_")},
            "LAYERKIT_ROOT": str(root),
        }

    def begin(
        self, *arguments: str, before: Sequence[str] = (), **options: object
    ) -> subprocess.Popen[bytes]:
        """A command that was started, by the program `before` if there is one."""
        line = [*before, PROGRAM, *arguments]
        with self.world.host.entered():
            return subprocess.Popen(
                line, env=self.environment, stdin=subprocess.DEVNULL, **options  # type: ignore[call-overload]
            )  # fmt: skip

    def run(self, *arguments: str, before: Sequence[str] = ()) -> Ran:
        """A command and how it ended."""
        pipe = subprocess.PIPE
        with self.begin(*arguments, before=before, stdout=pipe, stderr=pipe) as process:
            out, err = process.communicate()
        return Ran(process.returncode, out.decode(), err.decode())

    def __call__(self, *arguments: str) -> str:
        """What a command prints that ends well and has nothing to complain of."""
        ran = self.run(*arguments)
        assert (ran.code, ran.err) == (0, ""), (arguments, ran)
        return ran.out.strip()

    def serve(self, name: str, page: str, *options: str) -> str:
        """A container with a web server that has one page; its id."""
        script = 'echo "$0" > /www/index.html; exec httpd -f -h /www'
        return self("run", "-d", "--name", name, *options, IMAGE, "sh", "-c", script, page)

    def state(self, name: str) -> dict[str, object]:
        """What the monitor of a container wrote about its last run."""
        identifier = self("inspect", "-f", "{{.Id}}", name)
        found: dict[str, object] = json.loads(
            (self.root / "containers" / identifier / "state.json").read_bytes()
        )
        return found

    def address(self, name: str) -> str:
        """A container's address on the bridge."""
        return str(self.state(name)["address"])

    def inside(self, name: str) -> Namespace:
        """The network namespace of a container."""
        return self.world.place_of(int(str(self.state(name)["pid"])))

    def monitor(self, name: str) -> int:
        """The pid of a container's monitor."""
        status = Path(f"/proc/{self.state(name)['pid']}/status").read_text()
        (parent,) = re.findall(r"^PPid:\s+(\d+)$", status, re.MULTILINE)
        return int(parent)

    def ids(self) -> list[str]:
        """All containers."""
        return self("ps", "-a", "-q", "--no-trunc").split()

    def remove_all(self) -> None:
        """Remove them, whatever they do."""
        if found := self.ids():
            self("rm", "-f", *found)


def get(place: Namespace, address: str, port: int = 80) -> str:
    """The page that a web server has for who is at this place; it may be still starting."""
    answers: list[bytes] = []

    def ask() -> bool:
        with contextlib.closing(place.socket()) as client:
            try:
                client.connect((address, port))
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                with client.makefile("rb") as stream:
                    answers.append(stream.read())
            except (ConnectionRefusedError, ConnectionResetError):
                return False
        return True

    until(ask)
    return answers[0].partition(b"\r\n\r\n")[2].decode().strip()


def web_image(folder: Path) -> Path:
    """The layout of `IMAGE`, made in this folder."""
    root = boxes.make_image(folder / "root")
    (root / "www").mkdir(mode=0o777)
    (root / "www").chmod(0o777)
    layer = folder / "layer.tar"
    subprocess.run(["tar", "-C", root, "-cf", layer, "."], check=True)
    tars.oci_layout(folder / "layout", [layer], name=IMAGE)
    return folder / "layout"


def groups_of(identifiers: Sequence[str]) -> list[str]:
    """The control groups of these containers that are still there."""
    wanted = set(identifiers)
    return [
        f"{tree.mount}/{PARENT}/{name}"
        for tree in cgroups.used()
        for name in _listed(f"{tree.mount}/{PARENT}")
        if name in wanted
    ]


def _listed(folder: str) -> Iterator[str]:
    with contextlib.suppress(FileNotFoundError):
        yield from os.listdir(folder)
