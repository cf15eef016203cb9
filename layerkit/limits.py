"""How much an archive may ask for: bounds that stop a hostile one and let every honest one through.

What no setting changes stands beside its reader: documents, headers, paths, names.
"""

from __future__ import annotations

from dataclasses import dataclass

from layerkit.errors import ArchiveError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds that a configuration may change; sizes in bytes.

    `layer_size` is what one layer may have unpacked. `expansion` is how many times its blob that
    may be; gzip reaches 1,032 with zeros alone. zstd reaches 32,768, and so does an honest sparse
    file in it: this does not count up to `expansion_from`. `entries` and `implied_folders`, those
    that only paths name, are of one layer. Unpacking ends when less than `keep_free` would be left
    of the file system.
    """

    layer_size: int = 100 << 30
    expansion: int = 1_100
    expansion_from: int = 1 << 30
    entries: int = 1_000_000
    implied_folders: int = 1_000_000
    keep_free: int = 64 << 20

    def check_unpacked(self, size: int, blob_size: int | None) -> None:
        """Raise `ArchiveError` when a blob of `blob_size` may not become a tar of `size`.

        `blob_size` is None where it is not known.
        """
        if size > self.layer_size:
            raise exceeded("layer_size", f"a layer of more than {self.layer_size} bytes unpacked")
        if size <= self.expansion_from or blob_size is None:
            return
        if size > self.expansion * blob_size:
            raise exceeded(
                "expansion",
                f"{blob_size} bytes that unpack to more than {self.expansion} times as many",
            )


DEFAULT = Limits()


def exceeded(key: str, message: str) -> ArchiveError:
    """The error for an archive beyond the limit `key`."""
    return ArchiveError(
        message, hint=f"if you trust it, allow more: {key} in [limits] of the configuration"
    )
