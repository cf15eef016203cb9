"""How much memory does loading one big layer take, with one file and with very many?

Makes OCI layouts with one gzip layer of about 1 GiB each (hardly compressible), and loads each in a
fresh process into a fresh state directory. Peak memory is what the kernel says about that process
(ru_maxrss), wall and CPU time are of the whole process, the median of the rounds.

    .venv/bin/python benchmarks/load_memory.py [--rounds 3] [--size MiB] [--json FILE] [--work DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support import tars

FILES = (1, 10_000, 200_000)
MIB = 1 << 20


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=1024, help="MiB of file content in a layer")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--work", type=Path, help="where layouts and state directories are made")
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory(dir=options.work) as name:
        for count in FILES:
            layout = Path(name) / "layout"
            make_layout(layout, count, options.size * MIB)
            runs = [load(layout, Path(name) / "state") for _ in range(options.rounds)]
            results.append(summary(count, options.size, runs))
            shutil.rmtree(layout)
    print(f"{'files':>8} {'MiB':>6} {'peak MiB':>9} {'wall s':>7} {'cpu s':>7}")
    for row in results:
        print("{files:8} {mib:6} {peak_mib:9.0f} {wall_s:7.2f} {cpu_s:7.2f}".format(**row))
    if options.json:
        options.json.write_text(
            json.dumps({"machine": machine(), "results": results}, indent=1) + "\n"
        )


def make_layout(layout: Path, count: int, size: int) -> None:
    """An OCI layout with one layer of `count` files in folders of a hundred."""
    source = random.Random(count)  # the same bytes in every run
    with tempfile.NamedTemporaryFile(dir=layout.parent) as tar:
        for number in range(count):
            length = size // count
            tar.write(tars.header(f"data/{number // 100}/{number}", b"0", size=length))
            for start in range(0, length, MIB):
                tar.write(source.randbytes(min(MIB, length - start)))
            tar.write(bytes(-length % 512))
        tar.write(tars.END)
        tar.flush()
        tars.oci_layout(layout, [Path(tar.name)])


def load(layout: Path, state: Path) -> dict[str, float]:
    """One `layerkit load` in a process of its own: peak memory, wall and CPU time."""
    command = [
        sys.executable,
        "-m",
        "layerkit",
        "--root",
        str(state),
        "load",
        "-q",
        "-i",
        str(layout),
    ]
    started = time.perf_counter()
    pid = os.posix_spawn(sys.executable, command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - started
    shutil.rmtree(state)
    if status != 0:
        raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return {
        "peak_mib": usage.ru_maxrss / 1024,
        "wall_s": wall,
        "cpu_s": usage.ru_utime + usage.ru_stime,
    }


def summary(count: int, size: int, runs: list[dict[str, float]]) -> dict[str, float]:
    """The median of each figure."""
    medians = {key: round(statistics.median(run[key] for run in runs), 3) for key in runs[0]}
    return {"files": count, "mib": size, "rounds": len(runs), **medians}


def machine() -> dict[str, object]:
    """What it was measured on."""
    return {
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cpus": os.cpu_count(),
        "date": time.strftime("%Y-%m-%d"),
    }


if __name__ == "__main__":
    main()
