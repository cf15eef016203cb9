"""How long does a pull take when the registry limits each connection, or one of them is slow?

A registry on loopback holds an image with one layer of random bytes, and sends every blob at so many
bytes a second on each connection ("limited"), or at full speed but slowly on the
connection that asks for the layer first ("one slow").
layerkit, skopeo and podman, as far as they are installed, fetch it in turn into a fresh place.

    .venv/bin/python benchmarks/throttle.py [--size MiB] [--rate MB/s] [--rounds 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from typing import TYPE_CHECKING

from support import tars
from support.faults import slow
from support.registry import TestRegistry

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.web import Reply, Request

MIB = 1 << 20
LIMIT = 600
"""Seconds until a client is given up."""


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--size", type=int, default=64, help="MiB of the layer")
    parser.add_argument("--rate", type=float, default=4.0, help="MB/s of one connection")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    size = options.size * MIB
    result: dict[str, object] = {"machine": machine(), "size_mib": options.size}
    result["limited"] = measure(lambda: slow(options.rate * 1e6), size, options.rounds)
    result["one slow"] = measure(lambda: OneSlow(500_000), size, options.rounds)
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


class OneSlow:
    """The first connection that asks for a layer gets `rate` bytes a second for all it asks."""

    def __init__(self, rate: float) -> None:
        self._fault = slow(rate)
        self._connection = 0
        self._lock = threading.Lock()

    def __call__(self, request: Request, serve: Callable[[Request], Reply]) -> Reply:
        reply = serve(request)
        with self._lock:
            if len(reply.body) > MIB:
                self._connection = self._connection or request.connection
        if request.connection == self._connection:
            return self._fault(request, serve)
        return reply


def measure(fault: Callable[[], object], size: int, rounds: int) -> dict[str, object]:
    """The median seconds of each client that is here, and the ratio to the best peer."""
    names = [name for name in CLIENTS if name == "layerkit" or shutil.which(name)]
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        layer = tars.archive(tars.file("random", random.Random(number).randbytes(size // 8) * 8))
        for name in names:
            with TestRegistry() as registry:
                registry.add_image("app", "1", [layer], compression="")
                registry.fault("blobs/sha256", fault())
                times[name].append(timed(CLIENTS[name], registry.host))
    medians = {name: round(statistics.median(found), 2) for name, found in times.items()}
    peers = [medians[name] for name in names if name != "layerkit"]
    ratio = round(min(peers) / medians["layerkit"], 2) if peers else None
    return {"seconds": medians, "times_faster_than_best_peer": ratio}


def timed(command: Callable[[str, Path], list[str]], host: str) -> float:
    """The seconds that a client takes."""
    with tempfile.TemporaryDirectory(prefix="layerkit-throttle-") as place:
        started = time.perf_counter()
        subprocess.run(
            command(host, Path(place)),
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=LIMIT,
        )
        return time.perf_counter() - started


CLIENTS: dict[str, Callable[[str, Path], list[str]]] = {
    "layerkit": lambda host, place: [
        sys.executable,
        "-m",
        "layerkit",
        "--root",
        str(place),
        "pull",
        "-q",
        f"{host}/app:1",
    ],
    "skopeo": lambda host, place: [
        "skopeo",
        "--insecure-policy",
        "copy",
        "-q",
        "--src-tls-verify=false",
        f"docker://{host}/app:1",
        f"oci:{place}/layout:1",
    ],
    "podman": lambda host, place: [
        "podman",
        "--root",
        f"{place}/root",
        "--runroot",
        f"{place}/run",
        "--storage-driver",
        "overlay",
        "pull",
        "-q",
        "--tls-verify=false",
        f"{host}/app:1",
    ],
}


def machine() -> dict[str, object]:
    """What it was measured on, and with what."""
    versions = {
        name: subprocess.run(
            [name, "--version"], check=True, capture_output=True, text=True
        ).stdout.split()[2]
        for name in ("skopeo", "podman")
        if shutil.which(name)
    }
    return {
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        **versions,
    }


if __name__ == "__main__":
    main()
