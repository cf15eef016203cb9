"""How much memory does loading one big layer take, with one file and with very many?

Makes OCI layouts with one gzip layer of about 1 GiB each (hardly compressible), and loads each in a
fresh process into a fresh state directory. Peak memory is what the kernel says about that process
(ru_maxrss), wall and CPU time are of the whole process, the median of the rounds.

    .venv/bin/python benchmarks/load_memory.py [--rounds 3] [--size MiB] [--json FILE] [--work DIR]
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
from dataclasses import asdict
from pathlib import Path

import common
from common import MIB
from support import tars

FILES = (1, 10_000, 200_000)


def main() -> None:
    """Measure, print, and write."""
    parser = common.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=1024, help="MiB of file content in a layer")
    parser.add_argument("--work", type=Path, help="where layouts and state directories are made")
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory(dir=options.work) as name:
        for count in FILES:
            layout = Path(name) / "layout"
            tar = common.random_tar(Path(name) / "tar", options.size * MIB, count)
            tars.oci_layout(layout, [tar])
            runs = [load(layout) for _ in range(options.rounds)]
            results.append(summary(count, options.size, runs))
            shutil.rmtree(layout)
    common.publish({"machine": common.machine(), "results": results}, options.json)


def load(layout: Path) -> dict[str, float]:
    """One `layerkit load` into a state directory of its own: peak memory, wall and CPU time."""
    with tempfile.TemporaryDirectory(dir=layout.parent) as state:
        return asdict(common.measured(common.layerkit_command(state, "load", "-q", f"-i{layout}")))


def summary(count: int, size: int, runs: list[dict[str, float]]) -> dict[str, float]:
    """The median of each figure."""
    medians = {key: round(statistics.median(run[key] for run in runs), 3) for key in runs[0]}
    return {"files": count, "mib": size, "rounds": len(runs), **medians}


if __name__ == "__main__":
    main()
