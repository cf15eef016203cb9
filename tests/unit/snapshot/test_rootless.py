"""An owner as an xattr is what umoci writes."""

import pytest

from layerkit.snapshot import rootless


@pytest.mark.parametrize(
    ("uid", "gid", "wanted"),
    [
        (0, 0, ""),
        (7, 8, "08071008"),
        (7, 0, "080710ffffffff0f"),
        (0, 8, "08ffffffff0f1008"),
        (127, 128, "087f108001"),
        (300, 70_000, "08ac0210f0a204"),
        (65_534, 65_534, "08feff0310feff03"),
        (2**32 - 2, 1, "08feffffff0f1001"),
    ],
)
def test_an_owner_is_two_varints(uid, gid, wanted):
    """Root needs nothing; an id of 0 beside another one is "unchanged" (values seen from umoci)."""
    assert rootless.encode(uid, gid).hex() == wanted
