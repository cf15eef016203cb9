"""How long does a pull take when the registry limits each connection, or one of them is slow?

A registry on loopback holds an image with one layer of random bytes, and sends every blob at so many
bytes a second on each connection ("limited"), or at full speed but slowly on the connection that
asks for the layer first ("one slow").
layerkit, skopeo, podman and docker (with a daemon that runs already), as far as they are installed,
fetch it in turn into a fresh place.

    .venv/bin/python benchmarks/throttle.py [--size MiB] [--rate MB/s] [--rounds 3] [--json FILE]
"""

from __future__ import annotations

import random
import statistics
import threading
from typing import TYPE_CHECKING

import common
from common import MIB
from support import tars
from support.faults import slow
from support.registry import TestRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from common import Client
    from support.web import Reply, Request


def main() -> None:
    """Measure, print, and write."""
    parser = common.parser(__doc__)
    parser.add_argument("--size", type=int, default=64, help="MiB of the layer")
    parser.add_argument("--rate", type=float, default=4.0, help="MB/s of one connection")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    size, rounds = options.size * MIB, options.rounds
    clients, missing = common.installed(
        [common.layerkit, common.skopeo, common.podman, common.docker]
    )
    result = {
        "machine": common.machine("skopeo", "podman", "dockerd"),
        "not_installed": missing,
        "size_mib": options.size,
        "rounds": rounds,
        "limited": measure(clients, lambda: slow(options.rate * 1e6), size, rounds),
        "one slow": measure(clients, lambda: OneSlow(500_000), size, rounds),
    }
    common.publish(result, options.json)


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


def measure(
    clients: Mapping[str, Client], fault: Callable[[], object], size: int, rounds: int
) -> dict[str, object]:
    """The median seconds of each client, and the ratio to the best peer."""
    times: dict[str, list[float]] = {name: [] for name in clients}
    for number in range(rounds):
        layer = tars.archive(tars.file("random", random.Random(number).randbytes(size // 8) * 8))
        for name, client in clients.items():
            with TestRegistry() as registry:
                registry.add_image("app", "1", [layer], compression="")
                registry.fault("blobs/sha256", fault())
                times[name].append(common.pull(client, f"{registry.host}/app:1").wall_s)
    medians = {name: round(statistics.median(found), 2) for name, found in times.items()}
    peers = [medians[name] for name in medians if name != "layerkit"]
    ratio = round(min(peers) / medians["layerkit"], 2) if peers else None
    return {"seconds": medians, "times_faster_than_best_peer": ratio}


if __name__ == "__main__":
    main()
