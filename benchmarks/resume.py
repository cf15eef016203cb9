"""How many bytes does a pull fetch beyond the image, when it is killed again and again?

A registry on loopback holds an image with one layer of random bytes. `layerkit pull` is started and
killed (SIGKILL) when the registry has sent a random number of bytes more, as often as asked; then it
runs to its end, and the image is verified. The registry counts the bytes of blob bodies that it
wrote to its connections, which have buffers of 64 KiB.

    .venv/bin/python benchmarks/resume.py [--size MiB] [--kills 20] [--seed 1] [--json FILE]
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import common
from common import MIB
from support import stores, tars
from support.registry import TestRegistry

if TYPE_CHECKING:
    from layerkit.oci import Descriptor


def main() -> None:
    """Measure, print, and write."""
    parser = common.parser(__doc__)
    parser.add_argument("--size", type=int, default=500, help="MiB of the layer")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="layerkit-resume-"))
    try:
        result = measure(work, options.size * MIB, options.kills, options.seed)
    finally:
        shutil.rmtree(work)
    common.publish(result, options.json)


def measure(root: Path, size: int, kills: int, seed: int) -> dict[str, object]:
    """Pull with so many kills; what it cost."""
    chance = random.Random(seed)
    layer = tars.archive(
        tars.file("random", b"".join(chance.randbytes(MIB) for _ in range(size // MIB)))
    )
    with TestRegistry() as registry:
        blob = registry.add_image("app", "1", [layer], compression="").layers[0]
        command = common.layerkit_command(root, "pull", "-q", f"{registry.host}/app:1")
        killed = 0
        while killed < kills:
            target = sent(registry, blob) + chance.randrange(1, 2 * size // kills)
            with subprocess.Popen(command) as process:
                while process.poll() is None and sent(registry, blob) < target:
                    time.sleep(0.001)
                if process.poll() is not None:
                    break
                process.send_signal(signal.SIGKILL)
            killed += 1
        subprocess.run(command, check=True)
        fetched = sent(registry, blob)
    leftovers = os.listdir(root / "ingest")
    over = fetched - blob.size
    return {
        "machine": common.machine(),
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
