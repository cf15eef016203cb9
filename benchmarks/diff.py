"""How long do `diff` and `commit` take in an image with very many files, beside docker?

An image of one layer, with busybox and 84,000 small files in 7,000 folders, is pulled from a registry
on loopback by layerkit and by docker (a daemon of its own that runs already, overlay2). What is timed
is the client from its start to its end, layerkit and docker in turn, after one round that is not
counted:

  container  `diff` of a container that changed a file, made one and removed one
  commit     `commit` of a new container that changed ten files
  images     `layerkit diff` of two such images, each with a layer of its own, 100 files of which
             differ; docker has no such command

    .venv/bin/python benchmarks/diff.py [--parts PART...] [--folders 7000] [--rounds 5] [--json FILE]
"""

from __future__ import annotations

import contextlib
import shutil
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import common
from support import boxes, engines, tars
from support.registry import TestRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

FILES = 12
"""In each folder."""
DIFFERENCES = 100
CHANGES = "echo new > data/7/7; echo new > data/8/new; rm data/9/9"
TEN_CHANGES = "for each in 0 1 2 3 4 5 6 7 8 9; do echo {} > data/$each/1; done"
_COMMANDS = {"layerkit": ("layerkit",), "docker": engines.DOCKER_PROGRAMS}


@dataclass(frozen=True, slots=True)
class Tool:
    """What both have in common: how it is called, and the names of its two images."""

    command: tuple[str, ...]
    image: str
    other: str

    def run(self, name: str, script: str) -> None:
        """A container of the image that does this."""
        command = ("run", "--network=none", f"--name={name}", self.image, "sh", "-c", script)
        subprocess.run([*self.command, *command], check=True)

    def seconds(self, *arguments: str) -> float:
        """How long a command takes."""
        return common.measured([*self.command, *arguments]).wall_s


def main() -> None:
    """Measure, print, and write."""
    parser = common.parser(__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--folders", type=int, default=7000, help="of 12 files each")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="layerkit-diff-") as name,
        tools(Path(name), options.folders) as found,
    ):
        measured = {part: PARTS[part](found, options.rounds) for part in options.parts}
    result = {
        "machine": common.machine("dockerd"),
        "not_installed": [each for each in _COMMANDS if each not in found],
        "files": options.folders * FILES,
        "rounds": options.rounds,
        **measured,
    }
    common.publish(result, options.json)


@contextlib.contextmanager
def tools(folder: Path, folders: int) -> Iterator[dict[str, Tool]]:
    """layerkit, and docker where it is installed, with both images in place."""
    with contextlib.ExitStack() as stack:
        commands = {"layerkit": tuple(common.layerkit_command(folder))}
        if all(map(shutil.which, engines.DOCKER_PROGRAMS)):
            commands["docker"] = stack.enter_context(engines.docker(driver="overlay2")).command
        with TestRegistry() as registry:
            for tag in ("old", "new"):
                layer = archive(folders, DIFFERENCES if tag == "new" else 0)
                registry.add_image("app", tag, [layer], compression="")
            found = {
                name: Tool(command, f"{registry.host}/app:old", f"{registry.host}/app:new")
                for name, command in commands.items()
            }
            for tool in found.values():
                for image in (tool.image, tool.other):
                    common.measured([*tool.command, "pull", "-q", image])
        yield found


def archive(folders: int, changed: int) -> bytes:
    """The layer; so many of its files say something else."""
    return tars.archive(
        tars.directory("bin/"),
        tars.file("bin/busybox", boxes.BUSYBOX.read_bytes(), mode=0o755),
        *(tars.symlink(f"bin/{name}", "busybox") for name in ("sh", "rm")),
        tars.directory("data/"),
        *(folder(number, "changed" if number < changed else "first") for number in range(folders)),
    )


def folder(number: int, text: str) -> bytes:
    """A folder with its files; the first of them has this text."""
    files = [
        tars.file(f"data/{number}/{each}", f"{number} {each} {'' if each else text}")
        for each in range(FILES)
    ]
    return b"".join((tars.directory(f"data/{number}/"), *files))


def container(found: Mapping[str, Tool], rounds: int) -> dict[str, object]:
    """The diff of a container."""
    for tool in found.values():
        tool.run("changed", CHANGES)
    return compared(found, rounds, lambda tool, _: tool.seconds("diff", "changed"))


def commit(found: Mapping[str, Tool], rounds: int) -> dict[str, object]:
    """The commit of a container, another one each time."""

    def measure(tool: Tool, number: int) -> float:
        tool.run(f"box{number}", TEN_CHANGES.format(number))
        return tool.seconds("commit", f"box{number}", f"made:{number}")

    return compared(found, rounds, measure)


def images(found: Mapping[str, Tool], rounds: int) -> dict[str, object]:
    """The diff of two images."""
    alone = {"layerkit": found["layerkit"]}
    return compared(alone, rounds, lambda tool, _: tool.seconds("diff", tool.image, tool.other))


PARTS: dict[str, Callable[[Mapping[str, Tool], int], dict[str, object]]] = {
    "container": container,
    "commit": commit,
    "images": images,
}


def compared(
    found: Mapping[str, Tool], rounds: int, measure: Callable[[Tool, int], float]
) -> dict[str, object]:
    """The median seconds of each tool, and how many times faster layerkit is."""
    runs = [
        {name: measure(tool, number) for name, tool in found.items()}
        for number in range(rounds + 1)
    ]
    times: dict[str, Sequence[float]] = {name: [run[name] for run in runs[1:]] for name in found}
    medians = {name: round(statistics.median(each), 3) for name, each in times.items()}
    ratio = round(medians["docker"] / medians["layerkit"], 2) if "docker" in medians else None
    return {
        "seconds": medians,
        "all_seconds": {name: [round(each, 3) for each in times[name]] for name in times},
        "times_faster_than_docker": ratio,
    }


if __name__ == "__main__":
    main()
