"""How much CPU time does a pull take per GB that is downloaded and verified?

Debian's docker-registry on loopback serves images with one layer of random bytes, as a plain tar
and as gzip, by plain HTTP and by TLS with an authority of our own. The clients fetch them in turn
into a fresh place. CPU time is user and system time of the client with all its children, start and
end included, and not of the registry; a GB is 10^9 bytes of the blob. What they do in that time:

  download  layerkit without what comes after a download (`download.py`): one blob by up to six
            connections into a file, a CRC of each MiB in a journal, SHA-256 of the whole, fsync
  skopeo    `copy` to `dir:`: the blob by one connection into a file, SHA-256 of it, fsync
  layerkit  `pull`: as download; the blob is unpacked as it comes, the tar written to a second file
            with its SHA-256 (the diffID) and indexed, fsync
  podman    `pull` (overlay): the blob into a temporary file, SHA-256 of it; that unpacked, SHA-256
            of the tar, its files written one by one, its headers kept in another file

    .venv/bin/python benchmarks/transfer_cpu.py [--size MiB] [--rounds 3] [--json FILE] [--work DIR]
"""

from __future__ import annotations

import contextlib
import hashlib
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import common
import trustme
from common import MIB
from support import tars
from support.debian_registry import debian_registry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from common import Client

KINDS = ("plain", "gzip")


def main() -> None:
    """Measure, print, and write."""
    parser = common.parser(__doc__)
    parser.add_argument("--size", type=int, default=1024, help="MiB of the layer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, help="where all that is written goes")
    options = parser.parse_args()
    clients, missing = common.installed([download, common.skopeo, common.layerkit, common.podman])
    result: dict[str, object] = {
        "machine": common.machine("skopeo", "podman", "docker-registry"),
        "not_installed": missing,
        "size_mib": options.size,
        "rounds": options.rounds,
    }
    tempfile.tempdir = options.work and str(options.work)
    with tempfile.TemporaryDirectory(prefix="layerkit-transfer-") as name:
        folder = Path(name)
        sizes = fill(folder / "registry", folder / "layouts", options.size * MIB)
        certificate, authority = certificates(folder / "certificates")
        for scheme, tls, trusted in (("http", None, None), ("tls", certificate, authority)):
            with debian_registry(folder / "registry", tls=tls) as registry:
                for kind in KINDS:
                    image = f"{registry.host}/app:{kind}"
                    result[f"{scheme} {kind}"] = measure(
                        clients, image, trusted, sizes[kind] / 1e9, options.rounds
                    )
    common.publish(result, options.json)


def download(
    place: Path, image: str, authority: Path | None = None
) -> AbstractContextManager[Sequence[str]]:
    """What layerkit does before it looks into a layer."""
    script = str(Path(__file__).with_name("download.py"))
    trust = [] if authority is None else [str(authority)]
    return contextlib.nullcontext([sys.executable, script, str(place), image, *trust])


def fill(registry: Path, layouts: Path, size: int) -> dict[str, int]:
    """Have an image of each kind in the registry; the size of its blob."""
    layouts.mkdir()
    tar = common.random_tar(layouts / "tar", size)
    plain = tar.read_bytes()
    diff_id = f"sha256:{hashlib.sha256(plain).hexdigest()}"
    layers = {"plain": tars.Blob(plain, diff_id, tars.PLAIN_LAYER), "gzip": tar}
    sizes = {}
    with debian_registry(registry) as running:
        for kind in KINDS:
            tars.oci_layout(layouts / kind, [layers[kind]])
            running.push(layouts / kind, f"app:{kind}")
            blobs = (layouts / kind / "blobs/sha256").iterdir()
            sizes[kind] = max(path.stat().st_size for path in blobs)
    subprocess.run(["rm", "-r", layouts], check=True)
    return sizes


def certificates(folder: Path) -> tuple[tuple[Path, Path], Path]:
    """A certificate for loopback with its key, and the authority that it is of."""
    (folder / "trusted").mkdir(parents=True)
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    certificate, key, trusted = folder / "cert.pem", folder / "key.pem", folder / "trusted/ca.crt"
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    issued.private_key_pem.write_to_path(str(key))
    authority.cert_pem.write_to_path(str(trusted))
    return (certificate, key), trusted


def measure(
    clients: Mapping[str, Client], image: str, authority: Path | None, size: float, rounds: int
) -> dict[str, object]:
    """The median seconds of each client per GB; its blob has `size` GB."""
    runs = [
        {name: common.pull(client, image, authority) for name, client in clients.items()}
        for _ in range(rounds)
    ]

    def medians(figure: str) -> dict[str, float]:
        return {
            name: round(statistics.median(getattr(run[name], figure) for run in runs) / size, 2)
            for name in clients
        }

    return {"cpu_s_per_gb": medians("cpu_s"), "wall_s_per_gb": medians("wall_s")}


if __name__ == "__main__":
    main()
