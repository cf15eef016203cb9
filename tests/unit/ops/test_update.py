"""Limits that a container gets later are put over those that it has."""

from __future__ import annotations

import pytest

from layerkit.errors import ConflictError, UsageError
from layerkit.ops.update import merged
from layerkit.resources import UNLIMITED, Limits

MIB = 1 << 20


@pytest.mark.parametrize(
    ("present", "wanted", "result"),
    [
        pytest.param(Limits(pids=5), Limits(cpus=1.5), Limits(pids=5, cpus=1.5), id="others stay"),
        pytest.param(Limits(pids=5), Limits(pids=UNLIMITED), Limits(), id="pids lifted"),
        pytest.param(
            Limits(cpu_period=1000, cpu_quota=2000),
            Limits(cpu_quota=UNLIMITED),
            Limits(cpu_period=1000),
            id="quota lifted",
        ),
        pytest.param(
            Limits(), Limits(memory=8 * MIB), Limits(8 * MIB, 16 * MIB), id="swap as for a new one"
        ),
        pytest.param(
            Limits(memory=64 * MIB),
            Limits(memory=8 * MIB),
            Limits(8 * MIB, 128 * MIB),
            id="swap stays",
        ),
        pytest.param(
            Limits(8 * MIB, UNLIMITED),
            Limits(memory=64 * MIB),
            Limits(64 * MIB, UNLIMITED),
            id="any amount of swap stays",
        ),
        pytest.param(
            Limits(8 * MIB, 8 * MIB),
            Limits(64 * MIB, 64 * MIB),
            Limits(64 * MIB, 64 * MIB),
            id="both at once",
        ),
    ],
)
def test_what_is_said_is_changed(present, wanted, result):
    """The rest stays, memory and swap together included, also where nobody had written it down."""
    assert merged(present, wanted) == result


@pytest.mark.parametrize(
    ("present", "wanted", "error", "message"),
    [
        (Limits(), Limits(), UsageError, "nothing to update"),
        (Limits(cpu_quota=5000), Limits(cpus=1), ConflictError, "cannot update --cpus: the"),
        (Limits(cpu_period=5000), Limits(cpus=1), ConflictError, "cannot update --cpus: the"),
        (Limits(cpus=1), Limits(cpu_quota=5000), ConflictError, "the container has --cpus"),
        (Limits(cpus=1), Limits(cpu_period=5000), ConflictError, "the container has --cpus"),
        (Limits(8 * MIB), Limits(17 * MIB), ConflictError, "limited to 16777216"),
        (Limits(8 * MIB, 9 * MIB), Limits(10 * MIB), ConflictError, "limited to 9437184"),
    ],
)
def test_what_contradicts(present, wanted, error, message):
    """By docker's rules, limits that do not go with those that the container has are refused."""
    with pytest.raises(error, match=message):
        merged(present, wanted)
