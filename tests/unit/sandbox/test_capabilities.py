"""Capability names and masks."""

from __future__ import annotations

import pytest

from layerkit.sandbox.capabilities import DOCKER_CAPABILITIES, NAMES, mask


def test_the_default_mask_is_dockers():
    """The fourteen names are the mask that /proc/self/status shows in a docker container."""
    assert mask(DOCKER_CAPABILITIES) == 0x00000000A80425FB


@pytest.mark.parametrize(
    ("name", "number"), [("CHOWN", 0), ("SYS_ADMIN", 21), ("SETFCAP", 31), ("CHECKPOINT_RESTORE", 40)]
)  # fmt: skip
def test_a_name_has_the_kernels_number(name, number):
    """The position of a name is its bit."""
    assert mask([name]) == 1 << number
    assert len(NAMES) == 41


def test_a_name_counts_once():
    """A repeated name is one bit; no name is no bit."""
    assert (mask(["KILL", "KILL"]), mask([])) == (1 << 5, 0)


def test_an_unknown_name_is_refused():
    """A name that the kernel does not know is no capability."""
    with pytest.raises(ValueError, match=r"not in tuple|x not in"):
        mask(["SYS_NOTHING"])
