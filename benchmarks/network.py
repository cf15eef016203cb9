"""How long does it take to connect a container to the network, and to publish ports of it?

A host of its own is made (a network namespace with a network card), and then one new, empty
namespace after the other is connected to its bridge. "first" makes bridge and firewall too. The
time that the namespace itself needs is not in it. Each number is in milliseconds. Needs root.

    .venv/bin/python benchmarks/network.py [--rounds 100] [--json FILE]
"""

from __future__ import annotations

import contextlib
import statistics
import time
from typing import TYPE_CHECKING

import common
from support.networks import Namespace, World

from layerkit.network import bridge
from layerkit.ports import Publication

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WISHES = {
    "no port": (),
    "one port": (Publication(80, host_port=8080),),
    "ten ports": tuple(Publication(80 + each) for each in range(10)),
}


def main() -> None:
    """Measure, print, and write."""
    parser = common.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        world = World(stack)
        first = timed(world.container)
        results = {name: measure(world, wish, options.rounds) for name, wish in WISHES.items()}
    result = {"question": "network", **common.machine(), "first": round(first, 2), **results}
    common.publish(result, options.json)


def measure(world: World, wish: Sequence[Publication], rounds: int) -> dict[str, float]:
    """The median and the best time of `rounds` containers, one after the other."""
    connecting, ending = [], []
    with contextlib.ExitStack() as stack, world.host.entered():
        for _ in range(rounds):
            namespace = Namespace(stack)  # stays: the kernel ends namespaces under the same lock
            begin = time.perf_counter()
            endpoint = bridge.connect(namespace.descriptor, wish)
            connecting.append((time.perf_counter() - begin) * 1000)
            ending.append(timed(lambda endpoint=endpoint: bridge.disconnect(endpoint)))
    return {
        "connect_median": round(statistics.median(connecting), 2),
        "connect_best": round(min(connecting), 2),
        "disconnect_median": round(statistics.median(ending), 2),
    }


def timed(work: Callable[[], object]) -> float:
    """How many milliseconds it takes."""
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1000


if __name__ == "__main__":
    main()
