"""What the benchmarks share: the clients, how a process is measured, how results are written."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from typing import TYPE_CHECKING, Any

from support import engines, tars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import TypeAlias

    Client: TypeAlias = Callable[[Path, str, Path | None], AbstractContextManager[Sequence[str]]]
    """The command that pulls an image into a fresh place, while the block runs.

    It trusts the certificate authority in a file, or uses plain HTTP if there is none.
    """

MIB = 1 << 20
LIMIT = 600
"""Seconds until a client is given up."""
_PROGRAMS = {
    "docker": engines.DOCKER_PROGRAMS,
    "podman": engines.PODMAN_PROGRAMS,
    "skopeo": ("skopeo",),
}


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that all scripts have."""
    found = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    found.add_argument("--json", type=Path, help="where the results are written, too")
    return found


def publish(result: Mapping[str, Any], path: Path | None) -> None:
    """Print what was measured, and write it where that is wanted."""
    text = json.dumps(result, indent=1)
    print(text)
    if path:
        path.write_text(f"{text}\n")


def machine(*programs: str) -> dict[str, object]:
    """What it was measured on, when, and with which versions."""
    return {
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        **{name: _version(name) for name in programs if shutil.which(name)},
    }


def _version(program: str) -> str:
    done = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)
    return done.stdout.split()[2].rstrip(",")


# -- measuring --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process took: seconds of time, seconds of CPU (user and system), MiB of memory.

    CPU time is of it with its children, memory the peak of the largest of them; what this script
    itself had at its peak, some 20 MiB, is the least that can be seen.
    """

    wall_s: float
    cpu_s: float
    peak_mib: float


def measured(command: Sequence[str]) -> Usage:
    """What a command takes; a client that fails, or takes too long, ends the benchmark."""
    started = time.perf_counter()
    process = subprocess.Popen(
        ["timeout", "--foreground", str(LIMIT), *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Usage(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


# -- what is pulled ---------------------------------------------------------------------------------


def random_tar(path: Path, size: int, files: int = 1) -> Path:
    """A tar with `size` random bytes in so many files in folders of a hundred; always the same."""
    source = random.Random(files)
    with path.open("wb") as tar:
        for number in range(files):
            length = size // files
            tar.write(tars.header(f"data/{number // 100}/{number}", b"0", size=length))
            for start in range(0, length, MIB):
                tar.write(source.randbytes(min(MIB, length - start)))
            tar.write(bytes(-length % tars.BLOCK))
        tar.write(tars.END)
    return path


# -- clients ----------------------------------------------------------------------------------------


def layerkit_command(place: Path | str, *arguments: str) -> list[str]:
    """The program of this checkout, with its state in `place`."""
    return [sys.executable, "-m", "layerkit", f"--root={place}", *arguments]


def layerkit(
    place: Path, image: str, authority: Path | None = None
) -> AbstractContextManager[Sequence[str]]:
    """`layerkit pull`."""
    trust = [] if authority is None else [f"--ca={authority}"]
    return contextlib.nullcontext(layerkit_command(place, "pull", "-q", *trust, image))


def skopeo(
    place: Path, image: str, authority: Path | None = None
) -> AbstractContextManager[Sequence[str]]:
    """`skopeo copy` into a directory, which takes the blobs as they are."""
    trust = "--src-tls-verify=false" if authority is None else f"--src-cert-dir={authority.parent}"
    command = ["skopeo", "--insecure-policy", "copy", "-q", trust]
    return contextlib.nullcontext([*command, f"docker://{image}", f"dir:{place}/image"])


def podman(
    place: Path, image: str, authority: Path | None = None
) -> AbstractContextManager[Sequence[str]]:
    """`podman pull`."""
    engine = engines.podman(place, driver="overlay")
    trust = engine.pull_options if authority is None else (f"--cert-dir={authority.parent}",)
    return contextlib.nullcontext([*engine.command, "pull", "-q", *trust, image])


@contextlib.contextmanager
def docker(_place: Path, image: str, _authority: Path | None = None) -> Iterator[Sequence[str]]:
    """`docker pull`, with a daemon of its own that runs already; it trusts all of loopback."""
    with engines.docker(driver="overlay2") as engine:
        yield [*engine.command, "pull", "-q", image]


def installed(clients: Sequence[Client]) -> tuple[dict[str, Client], list[str]]:
    """The clients that are here by name, and the names of the others."""
    named = {each.__name__: each for each in clients}
    missing = [name for name in named if not all(map(shutil.which, _PROGRAMS.get(name, ())))]
    return {name: named[name] for name in named if name not in missing}, missing


def pull(client: Callable[..., Any], image: str, authority: Path | None = None) -> Usage:
    """What a client takes for an image, into a place that is removed afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="layerkit-benchmark-") as place,
        client(Path(place), image, authority) as command,
    ):
        return measured(command)
