"""How long does a container take from the command line to its end, beside other tools?

All run `true` of one busybox image, one tool after the other in each round, after a round that is not
counted; timed is the command from its start to its end:

  isolated   `run --rm --network none`; runc, crun and bubblewrap start a folder with new namespaces, as
             their defaults have it, and do neither images nor writable layers
  connected  `run --rm` on the bridge network
  exec       one more process in a container that runs

docker has a daemon of its own that runs already. All of it happens in a network namespace of its own, so
that the machine's firewall stays as it is. crun refuses hybrid control groups: it is called where the
second hierarchy is not mounted, which adds the time of `unshare` and `umount` (a fork and two calls).
Needs root.

    .venv/bin/python benchmarks/run.py [--parts PART...] [--rounds 20] [--json FILE]
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import common
from support import boxes, engines

if TYPE_CHECKING:
    from collections.abc import Sequence

Command: TypeAlias = tuple[str, ...]
PARTS = ("isolated", "connected", "exec")

IMAGE = "localhost/busybox:1"
ALONE = "--network=none"
# podman and runc refuse to raise what this machine does not let them.
_PODMAN_LIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")
_UNIFIED = Path("/sys/fs/cgroup/unified")


def main() -> None:
    """Measure, print, and write."""
    parser = common.parser(__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    enter_network_namespace()
    with (
        tempfile.TemporaryDirectory(prefix="layerkit-run-") as name,
        contextlib.ExitStack() as stack,
    ):
        folder = Path(name)
        root = boxes.make_image(folder / "root")
        subprocess.run(["tar", "-cf", folder / "root.tar", "-C", root, "."], check=True)
        tools = engines_here(folder, stack)
        parts = {
            "isolated": {**{key: isolated(each) for key, each in tools.items()}, **runtimes(root)},
            "connected": {key: connected(each) for key, each in tools.items()},
            "exec": {key: inside(each, stack) for key, each in tools.items()},
        }
        measured = {part: compared(parts[part], options.rounds) for part in options.parts}
    result = {
        "machine": common.machine("dockerd", "podman", "runc", "crun"),
        "rounds": options.rounds,
        **measured,
    }
    common.publish(result, options.json)


def enter_network_namespace() -> None:
    """Start this script again, where there is no network but loopback."""
    if os.environ.get("LAYERKIT_BENCHMARK_NETWORK") != "own":
        os.environ["LAYERKIT_BENCHMARK_NETWORK"] = "own"
        script = 'ip link set lo up; exec "$@"'
        os.execvp(
            "unshare", ["unshare", "--net", "sh", "-c", script, "sh", sys.executable, *sys.argv]
        )


# -- tools ------------------------------------------------------------------------------------------


def engines_here(folder: Path, stack: contextlib.ExitStack) -> dict[str, Command]:
    """How each tool with images is called that is installed; the image is there."""
    tar = str(folder / "root.tar")
    program = Path(sys.executable).with_name("layerkit")
    found: dict[str, Command] = {"layerkit": (str(program), f"--root={folder / 'layerkit'}")}
    if all(map(shutil.which, engines.DOCKER_PROGRAMS)):
        engine = engines.docker(driver="overlay2", network=True)
        found["docker"] = stack.enter_context(engine).command
    if all(map(shutil.which, engines.PODMAN_PROGRAMS)):
        # Not crun, its default, for the reason above.
        podman = engines.podman(folder / "podman", driver="overlay")
        found["podman"] = (*podman.command, "--runtime=runc")
    for command in found.values():
        subprocess.run([*command, "import", tar, IMAGE], check=True, stdout=subprocess.DEVNULL)
    return found


def _run(tool: Command) -> Command:
    return (*tool, "run", *(_PODMAN_LIMITS if "podman" in tool else ()))


def isolated(tool: Command) -> Command:
    """A container without network."""
    return (*_run(tool), "--rm", ALONE, IMAGE, "true")


def connected(tool: Command) -> Command:
    """A container on the tool's own network."""
    return (*_run(tool), "--rm", IMAGE, "true")


def inside(tool: Command, stack: contextlib.ExitStack) -> Command:
    """One more process in a container, which is ended with the block."""
    line = [*_run(tool), "-d", ALONE, "--name=here", IMAGE, "sleep", "1000000"]
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
    for last in (("rm", "-f"), ("kill",)):  # podman's rm would wait for the process
        stack.callback(subprocess.run, [*tool, *last, "here"], check=True, capture_output=True)
    return (*tool, "exec", "here", "true")


def runtimes(root: Path) -> dict[str, Command]:
    """How those are called that start a folder."""
    found: dict[str, Command] = {}
    if shutil.which("runc"):
        subprocess.run(["runc", "spec"], cwd=root.parent, check=True)
        path = root.parent / "config.json"
        path.write_text(json.dumps(_for_true(json.loads(path.read_text()), root)))
        bundle = f"--bundle={root.parent}"
        found["runc"] = ("runc", "run", bundle, "layerkit-benchmark")
        if shutil.which("crun"):
            crun = ("crun", "run", bundle, "layerkit-benchmark")
            script = f'umount {_UNIFIED}; exec "$@"'
            apart = ("unshare", "--mount", "sh", "-c", script, "sh") if _UNIFIED.exists() else ()
            found["crun"] = (*apart, *crun)
    if shutil.which("bwrap"):
        found["bubblewrap"] = (
            *("bwrap", "--unshare-all", "--bind", str(root), "/"),
            *("--proc", "/proc", "--dev", "/dev", "true"),
        )
    return found


def _for_true(config: dict[str, Any], root: Path) -> dict[str, Any]:
    process = {**config["process"], "terminal": False, "args": ["true"], "rlimits": []}
    return {**config, "process": process, "root": {"path": str(root), "readonly": False}}


# -- measuring --------------------------------------------------------------------------------------


def compared(commands: dict[str, Command], rounds: int) -> dict[str, Any]:
    """The milliseconds of each tool, and how many times faster layerkit is than the others."""
    times: dict[str, list[common.Usage]] = {name: [] for name in commands}
    failures: dict[str, str] = {}
    for number in range(rounds + 1):
        for name in [name for name in commands if name not in failures]:
            try:
                usage = common.measured(commands[name])
            except SystemExit as failure:
                failures[name] = str(failure).removeprefix(" ".join(commands[name])).strip()
                del times[name]
                continue
            if number:
                times[name].append(usage)
    medians = {name: _median([each.wall_s for each in used]) for name, used in times.items()}
    ours = medians["layerkit"]
    return {
        "median_ms": medians,
        "best_ms": {
            name: round(1000 * min(each.wall_s for each in used), 1) for name, used in times.items()
        },
        "median_cpu_ms_of_the_client": {
            name: _median([each.cpu_s for each in used]) for name, used in times.items()
        },
        "layerkit_is_faster": {
            name: round(median / ours, 2) for name, median in medians.items() if name != "layerkit"
        },
        "cannot": failures,
    }


def _median(seconds: Sequence[float]) -> float:
    return round(1000 * statistics.median(seconds), 1)


if __name__ == "__main__":
    main()
