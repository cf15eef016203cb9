"""Shows layerkit at work: pull an image, look at it, run a container, see exactly what it changed.

The image comes from docker.io where that can be reached, else from a registry on this machine:
Debian's own with an image made by mmdebstrap, or, without these programs or without root, the
registry of the tests with an image of this host's shell. Everything happens in a temporary state
directory that is gone at the end.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support import images
from support.debian_registry import PROGRAM, debian_registry
from support.registry import TestRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

PROGRAMS = Path(sys.executable).parent
"""Where the virtual environment has `layerkit`."""

HUB = "https://registry-1.docker.io/v2/"
HUB_LIMIT = 3.0
"""Seconds after which docker.io counts as out of reach."""

CHANGES = """\
echo "hello from $(hostname)"
mkdir /demo
echo "written in the container" > /demo/note
chmod 600 /etc/passwd
rm /etc/group
"""
STILL_THERE = "ls -l /etc/passwd /etc/group"


class Unusable(Exception):  # noqa: N818  no error: the next source is taken
    """A source of images does not work here; the message says why."""


Source: TypeAlias = "Callable[[Path], AbstractContextManager[str]]"
"""Given a scratch folder, it serves an image while its block runs and yields the image's name."""


def main() -> int:
    """Show everything with the first source that works; give the first exit code that is not 0."""
    with tempfile.TemporaryDirectory(prefix="layerkit-demo-") as name:
        folder = Path(name)
        shell = Shell({**os.environ, "LAYERKIT_ROOT": str(folder / "state")})
        try:
            return show(shell, folder)
        except subprocess.CalledProcessError as error:
            shell.say(f"That should not have failed (exit code {error.returncode}).")
            return 1
        finally:
            unmount_below(folder)


def show(shell: Shell, folder: Path) -> int:
    """The commands in the order in which somebody would try them."""
    with pulled(shell, folder) as image:
        shell.run("layerkit", "images")
        shell.run("layerkit", "history", image)
        if os.geteuid() != 0:
            show_files(shell, folder / "files", image)
            return 0
        shell.run("layerkit", "run", "--name", "demo", image, "sh", "-c", CHANGES)
        shell.say("What the container changed, and nothing else:")
        shell.run("layerkit", "diff", "demo")
        shell.say("The image is what it was:")
        shell.run("layerkit", "run", image, *shlex.split(STILL_THERE))
    return 0


def show_files(shell: Shell, target: Path, image: str) -> None:
    """What there is to see without root."""
    shell.say("Not root: a container cannot be started here, so this shows the image as files.")
    shell.run("layerkit", "inspect", image)
    shell.run("layerkit", "unpack", image, str(target))
    shell.run("ls", str(target))


class Shell:
    """Runs commands as a user would see them: the command first, then what it prints."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        path = f"{PROGRAMS}{os.pathsep}{environment['PATH']}"
        self.environment = {**environment, "PATH": path}

    def say(self, text: str) -> None:
        """Print a remark between two commands."""
        print(f"\n# {text}", flush=True)

    def run(self, *command: str) -> None:
        """Run one command; raises `CalledProcessError` when it fails."""
        print(f"\n$ {shlex.join(command)}", flush=True)
        program = shutil.which(command[0], path=self.environment["PATH"]) or command[0]
        subprocess.run([program, *command[1:]], check=True, env=self.environment)


@contextlib.contextmanager
def pulled(shell: Shell, folder: Path) -> Iterator[str]:
    """The name of an image from the first source that works, pulled."""
    sources: list[Source] = [docker_hub, debian_image, sample_image]
    for source in sources:
        with contextlib.ExitStack() as stack:
            try:
                image = stack.enter_context(source(folder))
            except Unusable as reason:
                shell.say(str(reason))
                continue
            try:
                shell.run("layerkit", "pull", image)
            except subprocess.CalledProcessError:
                if source is sources[-1]:
                    raise
                shell.say("This pull failed; the next source is tried.")
                continue
            yield image
            return


@contextlib.contextmanager
def docker_hub(folder: Path) -> Iterator[str]:
    """A small image of docker.io."""
    del folder
    if not answers(HUB):
        raise Unusable("docker.io cannot be reached: a registry on this machine takes its place.")
    yield "busybox:latest"


def answers(url: str) -> bool:
    """Whether a web server says anything at `url` in time; looking up its name counts, too."""
    heard: list[bool] = []

    def ask() -> None:
        try:
            with urllib.request.urlopen(url, timeout=HUB_LIMIT):
                heard.append(True)
        except urllib.error.HTTPError as refusal:
            # A registry asks for a token first.
            heard.append(refusal.code in (200, 401))
            refusal.close()
        except OSError:
            heard.append(False)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(HUB_LIMIT)
    return heard == [True]


@contextlib.contextmanager
def debian_image(folder: Path) -> Iterator[str]:
    """Debian's registry with a small Debian in it; the image is built once and kept in .cache."""
    wanted = (PROGRAM, "skopeo", *images.MINBASE_PROGRAMS)
    missing = [program for program in wanted if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        raise Unusable(f"A Debian image needs root and {', '.join(missing or wanted)}.")
    if not images.minbase_is_kept():
        print(
            "\n# mmdebstrap makes a small Debian image; that takes half a minute, once.", flush=True
        )
    try:
        layout = images.debian_minbase()
    except RuntimeError as error:
        raise Unusable(f"mmdebstrap could not make an image: {last_line(error)}") from error
    with debian_registry(folder / "registry") as registry:
        yield registry.push(layout, "debian:stable-slim")


@contextlib.contextmanager
def sample_image(folder: Path) -> Iterator[str]:
    """The registry of the tests, with an image of this host's own shell and tools."""
    del folder
    with TestRegistry() as registry:
        registry.add_image("sample", "latest", [images.sample_layer()], images.sample_config())
        yield f"{registry.host}/sample:latest"


def last_line(error: Exception) -> str:
    """The end of a message, where programs say what went wrong."""
    return str(error).strip().splitlines()[-1]


def unmount_below(folder: Path) -> None:
    """Unmount what layerkit keeps mounted for later use of its state directory."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4] for line in lines if f" {folder}/" in line]
    for point in reversed(points):
        subprocess.run(["umount", "--lazy", point], check=False)


if __name__ == "__main__":
    sys.exit(main())
