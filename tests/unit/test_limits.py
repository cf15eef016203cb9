"""The limits on what a layer may become, as numbers."""

from __future__ import annotations

import pytest

from layerkit.errors import ArchiveError
from layerkit.limits import Limits

GIB = 1 << 30


@pytest.mark.parametrize(
    ("limits", "size", "blob_size", "key"),
    [
        (Limits(), 100 * GIB, 100 * GIB // 1032, None),
        (Limits(), 100 * GIB, 100 * GIB, None),
        (Limits(), 100 * GIB + 1, 100 * GIB, "layer_size"),
        (Limits(), GIB, 32_800, None),
        (Limits(), GIB + 1, 32_800, "expansion"),
        (Limits(), GIB, 0, None),
        (Limits(), 50 * GIB, None, None),
        (Limits(layer_size=200 * GIB), 200 * GIB, 200 * GIB, None),
        (Limits(layer_size=10), 11, 11, "layer_size"),
        (Limits(expansion=3, expansion_from=0), 30, 10, None),
        (Limits(expansion=3, expansion_from=0), 31, 10, "expansion"),
        (Limits(expansion=40_000), 2 * GIB, 2 * GIB // 32_768, None),
    ],
)
def test_what_a_blob_may_unpack_to(limits, size, blob_size, key):
    """Up to a limit all is well, and by default also gzip at its best; behind it, its key is told."""
    if key is None:
        limits.check_unpacked(size, blob_size)
    else:
        with pytest.raises(ArchiveError) as caught:
            limits.check_unpacked(size, blob_size)
        assert f"{key} in [limits]" in caught.value.hint


def test_the_promised_limits_are_the_defaults():
    """What the documents promise needs no configuration."""
    limits = Limits()

    assert limits.layer_size == 100 * GIB
    assert limits.entries == 1_000_000
    assert limits.implied_folders == 1_000_000
