"""Certificates as docker, podman and containerd lay them out: `certs.d/HOST[:PORT]/`.

`*.crt` are authorities, `NAME.cert` and `NAME.key` a client's certificate and key.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from layerkit.errors import UsageError
from layerkit.registry.endpoints import TLS, USUAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_OTHER_HALF = {".cert": ".key", ".key": ".cert"}


def directories(folders: Iterable[Path], host: str) -> Iterator[Path]:
    """Where in these `certs.d` folders files for `host[:port]` may be, the best first.

    The port has to be in the name just as it is in the name of the registry; containerd also
    writes `host_port_`.
    """
    name, colon, port = host.rpartition(":")
    names = [host] if not colon or host.endswith("]") else [f"{name}_{port}_", host]
    for folder in folders:
        yield from (folder / each for each in names)


def tls_for(folders: Iterable[Path], host: str) -> TLS:
    """What the first directory for `host[:port]` that has certificates has.

    Raises `UsageError` for a certificate without its key and for a key without its certificate.
    """
    for directory in directories(folders, host):
        try:
            names = sorted(os.listdir(directory))
        except OSError:
            continue
        if (found := _tls_of(directory, names)) != USUAL:
            return found
    return USUAL


def _tls_of(directory: Path, names: list[str]) -> TLS:
    _refuse_halves(directory, names)
    return TLS(
        tuple(directory / name for name in names if name.endswith(".crt")),
        tuple(
            (directory / name, directory / (name.removesuffix(".cert") + ".key"))
            for name in names
            if name.endswith(".cert")
        ),
    )


def _refuse_halves(directory: Path, names: list[str]) -> None:
    for name in names:
        stem, extension = os.path.splitext(name)
        other = stem + _OTHER_HALF.get(extension, extension)
        if other not in names:
            hint = "certificate authorities have names that end in .crt"
            raise UsageError(
                f"cannot use {directory / name}: {directory / other} is missing",
                hint=hint if extension == ".cert" else "",
            )
