"""Shows layerkit at work: pull an image, run containers, see what they change, serve web pages.

The image comes from docker.io where that can be reached, else from a registry on this machine:
Debian's own with an image made by mmdebstrap, or, without these programs or without root, the
registry of the tests with an image of this host's shell. Everything happens in a temporary state
directory that is gone at the end, and the containers in a network namespace, so that this machine's
interfaces and firewall stay as they are. `--cast FILE` records it as an asciicast.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import pexpect
from cast import HEIGHT, WIDTH, Recording
from support import boxes, images
from support.debian_registry import PROGRAM, debian_registry
from support.registry import TestRegistry

from layerkit import linux
from layerkit.network import links
from layerkit.network.netlink import Socket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

PROGRAMS = Path(sys.executable).parent
"""Where the virtual environment has `layerkit`."""

HUB = "https://registry-1.docker.io/v2/"
BUSYBOX = "busybox:latest"
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
SERVE = 'echo "page $0, from $(hostname)" > /tmp/index.html; exec httpd -f -v -h /tmp'
SESSION = (
    "tty; stty size",
    "ps",
    "rm -r /media; echo changed > /etc/motd",
    "exit 3",
)
"""What is typed in a container's terminal."""
PROMPT = "/ # "
CURSOR = "\x1b[6n"
"""Where is the cursor: a question of shells that no recording can answer."""
PATIENCE = 60
"""Seconds after which what must come did not."""


class Unusable(Exception):  # noqa: N818  no error: the next source is taken
    """A source of images does not work here; the message says why."""


Source: TypeAlias = "Callable[[Path], AbstractContextManager[str]]"
"""Given a scratch folder, it serves an image while its block runs and yields the image's name."""


def main() -> int:
    """Show everything with the first source that works; give the first exit code that is not 0."""
    parser = argparse.ArgumentParser(description="Show layerkit at work.")
    parser.add_argument("--cast", type=Path, metavar="FILE", help="record it as an asciicast")
    recorded = parser.parse_args().cast
    with (
        tempfile.TemporaryDirectory(prefix="layerkit-demo-") as name,
        contextlib.ExitStack() as end,
    ):
        folder = Path(name)
        screen = Screen(Recording(recorded, "layerkit") if recorded else None)
        end.callback(screen.close)
        shell = Shell({**os.environ, "LAYERKIT_ROOT": str(folder / "state")}, screen)
        end.callback(unmount_below, folder)
        end.callback(remove_containers, shell)
        try:
            return show(shell, folder)
        except subprocess.CalledProcessError as error:
            shell.say(f"That should not have failed (exit code {error.returncode}).")
            return 1


def show(shell: Shell, folder: Path) -> int:
    """The commands in the order in which somebody would try them."""
    with pulled(shell, folder) as image:
        shell.run("layerkit", "images")
        shell.run("layerkit", "history", image)
        if os.geteuid() != 0:
            show_files(shell, folder / "files", image)
            return 0
        web = web_image(shell, image)
        enter_own_network()
        shell.run("layerkit", "run", "--name", "demo", image, "sh", "-c", CHANGES)
        shell.say("What the container changed, and nothing else:")
        shell.run("layerkit", "diff", "demo")
        shell.say("The image is what it was:")
        shell.run("layerkit", "run", "--rm", image, *shlex.split(STILL_THERE))
    if web:
        show_servers(shell, web)
        show_terminal(shell, web)
    return 0


def web_image(shell: Shell, image: str) -> str:
    """The name of an image with busybox, which has a web server, pulled; empty if there is none."""
    if image == BUSYBOX:
        return image
    if obstacle := boxes.obstacle():
        shell.say(f"The web servers are left out: that {obstacle}.")
        return ""
    with tempfile.TemporaryDirectory() as name, TestRegistry() as registry:
        root = boxes.make_image(Path(name) / "root")
        (root / "media").mkdir()
        packed = subprocess.run(["tar", "-C", root, "-c", "."], check=True, stdout=subprocess.PIPE)
        registry.add_image("busybox", "latest", [packed.stdout], images.sample_config())
        shell.say("A small image with a web server, from the registry of the tests:")
        shell.run("layerkit", "pull", f"{registry.host}/busybox:latest")
        shell.run("layerkit", "tag", f"{registry.host}/busybox:latest", "busybox", quiet=True)
    return "busybox"


def show_servers(shell: Shell, image: str) -> None:
    """Two web servers of one image, each with its own page and port."""
    shell.say("Two containers of one image, in the background, each with a port of the host:")
    for name, port in (("one", 8081), ("two", 8082)):
        options = ("-d", "--name", name, "-p", f"{port}:80")
        shell.run("layerkit", "run", *options, image, "sh", "-c", SERVE, name)
    shell.run("layerkit", "ps")
    for port in (8081, 8082):
        shell.fetch(f"http://127.0.0.1:{port}/")
    shell.run("layerkit", "exec", "one", "cat", "/etc/hosts")
    shell.run("layerkit", "logs", "one")
    shell.run("layerkit", "diff", "one")
    shell.run("layerkit", "stop", "-t", "1", "one", "two")
    shell.run("layerkit", "ps", "-a", "--format", "{{.Names}}: {{.Status}}")


def show_terminal(shell: Shell, image: str) -> None:
    """A shell in a container, and somebody who types."""
    shell.say("A terminal in a container; it ends with the code of its shell, here 3:")
    shell.type(SESSION, "layerkit", "run", "-i", "-t", "--name", "try", image, "sh")
    shell.run("layerkit", "diff", "try")


def enter_own_network() -> None:
    """Go on in a new network namespace, with all programs that are started from now on."""
    linux.unshare(linux.CLONE_NEWNET)
    with Socket(links.PROTOCOL) as routes:
        routes.ask(links.set_up("lo"))


def show_files(shell: Shell, target: Path, image: str) -> None:
    """What there is to see without root."""
    shell.say("Not root: a container cannot be started here, so this shows the image as files.")
    shell.run("layerkit", "inspect", image)
    shell.run("layerkit", "unpack", image, str(target))
    shell.run("ls", str(target))


class Screen:
    """The standard output, and its recording where there is one."""

    def __init__(self, recording: Recording | None) -> None:
        self.recording = recording

    def write(self, text: str) -> None:
        """Show what a program wrote."""
        text = text.replace(CURSOR, "")
        print(text.replace("\r\n", "\n"), end="")
        if self.recording is not None:
            self.recording.shown(text)

    def type(self, text: str) -> None:
        """Show what somebody typed."""
        print(text, end="")
        if self.recording is not None:
            self.recording.typed(text)

    def flush(self) -> None:
        """Have all of it seen."""
        sys.stdout.flush()

    def close(self) -> None:
        """Nothing more comes."""
        if self.recording is not None:
            self.recording.close()


class Shell:
    """Runs commands as a user would see them: the command first, then what it prints."""

    def __init__(self, environment: Mapping[str, str], screen: Screen) -> None:
        path = f"{PROGRAMS}{os.pathsep}{environment['PATH']}"
        self.environment = {**environment, "PATH": path}
        self._screen = screen

    def say(self, text: str) -> None:
        """Print a remark between two commands."""
        self._screen.write(f"\n# {text}\n")
        self._screen.flush()

    def run(self, *command: str, quiet: bool = False) -> None:
        """Run one command; raises `CalledProcessError` when it fails."""
        line = [self._program(command[0]), *command[1:]]
        if quiet:
            subprocess.run(line, check=True, env=self.environment, stdout=subprocess.DEVNULL)
            return
        self._prompt(command)
        if self._screen.recording is None:
            subprocess.run(line, check=True, env=self.environment)
            return
        if code := self._end(self._spawn(line)):
            raise subprocess.CalledProcessError(code, line)

    def type(self, lines: Iterable[str], *command: str) -> None:
        """Run one command in a terminal, and type a line at each prompt of its shell."""
        self._prompt(command)
        process = self._spawn([self._program(command[0]), *command[1:]])
        for line in lines:
            process.expect_exact(PROMPT)
            process.send(f"{line}\n")
        self.say(f"exit code {self._end(process)}")

    def fetch(self, url: str) -> None:
        """Show a web page, of a server that may be still starting."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                    self.say(f"{url} says: {answer.read().decode().strip()}")
                return
            except urllib.error.URLError:
                if time.monotonic() > deadline:
                    raise

    def _program(self, name: str) -> str:
        return shutil.which(name, path=self.environment["PATH"]) or name

    def _prompt(self, command: Iterable[str]) -> None:
        self._screen.write("\n$ ")
        self._screen.type(shlex.join(command))
        self._screen.write("\n")
        self._screen.flush()

    def _spawn(self, line: list[str]) -> pexpect.spawn:
        process = pexpect.spawn(
            *(line[0], line[1:]),
            env=self.environment,
            encoding="utf-8",
            dimensions=(HEIGHT, WIDTH),
            timeout=PATIENCE,
        )
        process.logfile_read = self._screen
        return process

    def _end(self, process: pexpect.spawn) -> int:
        process.expect(pexpect.EOF)
        process.close()
        return int(process.exitstatus or 0)


def remove_containers(shell: Shell) -> None:
    """Let nothing run on, whatever went wrong."""
    command = [str(PROGRAMS / "layerkit"), "ps", "-a", "-q"]
    listed = subprocess.run(command, check=True, env=shell.environment, stdout=subprocess.PIPE)
    if found := listed.stdout.decode().split():
        shell.run("layerkit", "rm", "-f", *found, quiet=True)


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
    yield BUSYBOX


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
