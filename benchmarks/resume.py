"""How many bytes does a pull fetch beyond the image, when it is killed again and again?

A registry on loopback holds an image with one layer of random bytes. `layerkit pull` is started and
killed (SIGKILL) when the registry has sent a random number of bytes more, as often as asked; then it
runs to its end, and the image is verified. The registry counts the bytes of blob bodies that it
wrote to its connections, which have buffers of 64 KiB.

    .venv/bin/python benchmarks/resume.py [--size MiB] [--kills 20] [--seed 1] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from typing import TYPE_CHECKING

from support import stores, tars
from support.registry import TestRegistry

if TYPE_CHECKING:
    from layerkit.oci import Descriptor

MIB = 1 << 20


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--size", type=int, default=500, help="MiB of the layer")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="layerkit-resume-"))
    try:
        result = measure(work, options.size * MIB, options.kills, options.seed)
    finally:
        shutil.rmtree(work)
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def measure(root: Path, size: int, kills: int, seed: int) -> dict[str, object]:
    """Pull with so many kills; what it cost."""
    chance = random.Random(seed)
    layer = tars.archive(
        tars.file("random", b"".join(chance.randbytes(MIB) for _ in range(size // MIB)))
    )
    with TestRegistry() as registry:
        blob = registry.add_image("app", "1", [layer], compression="").layers[0]
        command = [sys.executable, "-m", "layerkit", "pull", "-q", f"{registry.host}/app:1"]
        environment = {**os.environ, "LAYERKIT_ROOT": str(root)}
        killed = 0
        while killed < kills:
            target = sent(registry, blob) + chance.randrange(1, 2 * size // kills)
            with subprocess.Popen(command, env=environment) as process:
                while process.poll() is None and sent(registry, blob) < target:
                    time.sleep(0.001)
                if process.poll() is not None:
                    break
                process.send_signal(signal.SIGKILL)
            killed += 1
        subprocess.run(command, env=environment, check=True)
        fetched = sent(registry, blob)
    leftovers = os.listdir(root / "ingest")
    over = fetched - blob.size
    return {
        "machine": f"{os.cpu_count()} cores, Linux {platform.release()}",
        "python": platform.python_version(),
        "seed": seed,
        "kills": killed,
        "size_mib": round(blob.size / MIB, 1),
        "fetched_mib": round(fetched / MIB, 1),
        "beyond_mib": round(over / MIB, 1),
        "beyond_mib_per_kill": round(over / MIB / max(killed, 1), 2),
        "wrong_in_store": stores.faults(root),
        "left_in_ingest": leftovers,
    }


def sent(registry: TestRegistry, blob: Descriptor) -> int:
    """The bytes of the blob that were sent so far."""
    return sum(each.sent for each in list(registry.requests) if str(blob.digest) in each.path)


if __name__ == "__main__":
    main()
