"""What containers use, from looks one after the other."""

from __future__ import annotations

import pytest

from layerkit.ops.stats import Meter, traffic

DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     900       9    0    0    0     0          0         0      900       9    0    0    0     0       0          0
  eth0:    1000      10    0    0    0     0          0         0     2000      20    0    0    0     0       0          0
eth1:50 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0
"""


@pytest.mark.parametrize(
    ("text", "received", "sent"),
    [(DEV, 1050, 2007), (DEV[: DEV.index("  eth0")], 0, 0), ("", 0, 0)],
    ids=["two", "loopback", "nothing"],
)
def test_traffic(text, received, sent):
    """All interfaces count, loopback does not."""
    assert traffic(text) == (received, sent)


def test_processors_are_seen_from_the_second_look_on():
    """The share of a processor is what was used between two looks, by the time between them."""
    percent = Meter(None)._percent

    assert percent("a", 10.0, 5 * 10**9) is None
    assert percent("a", 12.0, 8 * 10**9) == 150.0
    assert percent("b", 12.0, 8 * 10**9) is None
    assert percent("a", 13.0, 8 * 10**9) == 0.0
    assert percent("a", 14.0, 0) is None  # started again meanwhile
    assert percent("a", 15.0, None) is None
