"""Containers of a busybox root, in this process or, for terminals and signals, in one of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from layerkit.errors import LayerkitError
from layerkit.mount import BindMount, OverlayMount
from layerkit.oci import RuntimeConfig
from layerkit.sandbox.process import ExitStatus, Stdio, run
from layerkit.sandbox.spec import Overrides, SandboxSpec, process_spec

if TYPE_CHECKING:
    from collections.abc import Sequence

BUSYBOX = Path("/bin/busybox")
PASSWD = """\
root:x:0:0:root:/root:/bin/sh
app:x:1000:1000:App:/home/app:/bin/sh
"""
GROUP = "root:x:0:\nwheel:x:10:root,app\napp:x:1000:\naudio:x:29:app\n"
_INIT_FOLDERS = ("dev", "proc", "sys", "etc")
_INIT_FILES = ("hosts", "hostname", "resolv.conf")


def obstacle() -> str | None:
    """Why there can be no busybox root here."""
    if not BUSYBOX.exists():
        return f"needs {BUSYBOX} (Debian package busybox-static)"
    if b"/ld-" in BUSYBOX.read_bytes()[:4096]:
        return f"needs a static {BUSYBOX} (Debian package busybox-static)"
    return None


def make_image(root: Path) -> Path:
    """A small root with busybox under all of its names, and users."""
    binaries = root / "bin"
    binaries.mkdir(parents=True)
    shutil.copy(BUSYBOX, binaries / "busybox")
    names = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True)
    for name in set(names.stdout.split()) - {"busybox"}:
        (binaries / name).symlink_to("busybox")
    (root / "etc").mkdir()
    (root / "etc/passwd").write_text(PASSWD)
    (root / "etc/group").write_text(GROUP)
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    return root


@dataclass(frozen=True)
class Result:
    """How a container ended and what it wrote."""

    status: ExitStatus
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """The standard output, with an assertion that all went well."""
        assert (self.status, self.err) == (ExitStatus(0), b""), self
        return self.out.decode()


class Box:
    """A container's folder in `folder`, on top of `lowers`; runs as often as it is asked to."""

    def __init__(self, folder: Path, *lowers: Path) -> None:
        self.folder = folder
        self.lowers = lowers
        self.upper = folder / "upper"
        self.work = folder / "work"
        for path in (self.upper, self.work):
            path.mkdir(exist_ok=True)

    def spec(
        self,
        *command: str,
        image: RuntimeConfig | None = None,
        terminal: bool = False,
        hostname: str = "box",
        entrypoint: Sequence[str] | None = None,
        env: Sequence[str] = (),
        workdir: str | None = None,
        user: str | None = None,
        **options: object,
    ) -> SandboxSpec:
        """The spec of `command` with these wishes; `options` are fields of the spec."""
        wishes = Overrides(entrypoint and tuple(entrypoint), command, tuple(env), workdir, user)
        process = process_spec(
            image or RuntimeConfig(), wishes, hostname=hostname, terminal=terminal
        )
        root = OverlayMount(self.lowers, self.upper, self.work)
        return SandboxSpec(root, process, hostname, terminal=terminal, **options)

    def run(self, *command: str, stdin: bytes | None = None, **options: object) -> Result:
        """Run a command to its end; with `stdin`, those bytes are its input."""
        files = [self.folder / name for name in ("stdin", "stdout", "stderr")]
        files[0].write_bytes(stdin or b"")
        with files[0].open("rb") as given, files[1].open("wb") as out, files[2].open("wb") as err:
            source = None if stdin is None else given.fileno()
            status = run(self.spec(*command, **options), Stdio(source, out.fileno(), err.fileno()))
        return Result(status, files[1].read_bytes(), files[2].read_bytes())

    def program(self, *command: str, interactive: bool = True, **options: object) -> list[str]:
        """The arguments of a process that runs the command on its own standard streams.

        It ends with the container's code, or with an error's and its message on stderr.
        """
        document = {
            "folder": str(self.folder),
            "lowers": [str(lower) for lower in self.lowers],
            "command": command,
            "interactive": interactive,
            "options": options,
        }
        return [sys.executable, __file__, json.dumps(document)]


def init_layer(folder: Path) -> Path:
    """The layer that every container has: mount points, and three files that it binds."""
    for name in _INIT_FOLDERS:
        (folder / name).mkdir(parents=True)
    for name in _INIT_FILES:
        (folder / "etc" / name).touch()
    return folder


def bind(source: Path, target: str, text: str) -> BindMount:
    """A bind mount of a new file `source` with this text."""
    source.write_text(text)
    return BindMount(source, target, is_file=True)


def main(document: str) -> int:
    """Run what `Box.program` describes."""
    wanted = json.loads(document)
    box = Box(Path(wanted["folder"]), *map(Path, wanted["lowers"]))

    def started(pid: int) -> None:
        (box.folder / "pid.new").write_text(str(pid))
        os.rename(box.folder / "pid.new", box.folder / "pid")

    try:
        spec = box.spec(*wanted["command"], **wanted["options"])
        stdio = Stdio(0 if wanted["interactive"] else None, 1, 2)
        return run(spec, stdio, on_started=started).shell_code
    except LayerkitError as error:
        os.write(2, f"{error.message}\n".encode())
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
