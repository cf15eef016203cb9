"""Bytes per second are shared by all who ask."""

from __future__ import annotations

import pytest

from layerkit.registry.rate import RateLimit


def test_the_pause_is_as_long_as_the_bytes_take():
    """What passes too early is waited for; time without bytes is not saved up."""
    now = [0.0]
    limit = RateLimit(100, lambda: now[0])

    assert limit.pause(50) == pytest.approx(0.5)
    assert limit.pause(50) == pytest.approx(1.0)
    now[0] = 5.0
    assert limit.pause(10) == pytest.approx(0.1)
