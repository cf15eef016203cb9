"""Capability names and masks."""

from __future__ import annotations

import pytest

from layerkit.errors import UsageError
from layerkit.sandbox.capabilities import DOCKER_CAPABILITIES, NAMES, available, granted, mask


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


ALL = frozenset(NAMES)
POOR = ALL - {"SYS_RESOURCE"}


@pytest.mark.parametrize(
    ("add", "drop", "wanted"),
    [
        ((), (), set(DOCKER_CAPABILITIES)),
        (("NET_ADMIN",), (), {*DOCKER_CAPABILITIES, "NET_ADMIN"}),
        (("cap_sys_time",), ("Cap_Kill", "chown"), {*DOCKER_CAPABILITIES, "SYS_TIME"} - {"KILL", "CHOWN"}),
        (("NET_BIND_SERVICE",), ("ALL",), {"NET_BIND_SERVICE"}),
        ((), ("all",), set()),
        (("ALL",), (), POOR),
        (("ALL",), ("KILL", "SYS_ADMIN"), POOR - {"KILL", "SYS_ADMIN"}),
        (("ALL",), ("ALL",), POOR),
        (("KILL",), ("KILL",), set(DOCKER_CAPABILITIES)),
    ],
)  # fmt: skip
def test_adding_and_dropping_is_dockers(add, drop, wanted):
    """RT-P12: names with or without CAP_ in any case, ALL; of ALL what layerkit itself has."""
    assert set(granted(add, drop, POOR)) == wanted


def test_masks_are_exact():
    """RT-P12: the mask of what is left is the one that the kernel shows."""
    assert mask(granted(("NET_BIND_SERVICE",), ("ALL",), ALL)) == 0x400
    assert mask(granted(("SYS_TIME",), (), ALL)) == 0xA80425FB | 1 << 25
    assert granted((), (), ALL) == DOCKER_CAPABILITIES


def test_a_privileged_container_has_all():
    """`--privileged` is everything that layerkit itself has, whatever is dropped."""
    assert set(granted(("SYS_RESOURCE",), ("KILL",), POOR, privileged=True)) == POOR


def test_layerkit_gives_only_what_it_has():
    """A default capability that is not there is left out; one that is asked for is an error."""
    assert "KILL" not in granted((), (), ALL - {"KILL"})

    with pytest.raises(UsageError, match="cannot add capability SYS_RESOURCE"):
        granted(("SYS_RESOURCE",), (), POOR)


@pytest.mark.parametrize(
    ("add", "drop", "message"),
    [
        (("NOSUCH",), (), "unknown capability to add: 'NOSUCH'"),
        (("CAP_",), (), "unknown capability to add: 'CAP_'"),
        (("CAP_CAP_KILL",), (), "unknown capability to add: 'CAP_CAP_KILL'"),
        ((), ("kil",), "unknown capability to drop: 'kil'"),
        (("ALL",), ("",), "unknown capability to drop: ''"),
    ],
)
def test_an_unknown_capability_is_refused(add, drop, message):
    """RT-P12: a name that is none is an error that says so."""
    with pytest.raises(UsageError, match=message):
        granted(add, drop, ALL)
    with pytest.raises(UsageError, match=message):
        granted(add, drop, ALL, privileged=True)


def test_what_this_process_has_is_known():
    """Nothing is available that the kernel would refuse to give on."""
    with open("/proc/self/status") as file:
        permitted = next(line for line in file if line.startswith("CapPrm")).split()[1]

    assert mask(available()) & ~int(permitted, 16) == 0
