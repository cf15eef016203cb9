"""Kernel parameters of a container's own."""

from __future__ import annotations

import pytest

from layerkit.errors import UsageError
from layerkit.sandbox.sysctls import check


@pytest.mark.parametrize(
    "name",
    [
        "kernel.msgmax",
        "kernel.sem",
        "kernel.shmmax",
        "kernel.shm_rmid_forced",
        "fs.mqueue.msg_max",
        "net.ipv4.ip_forward",
        "net.ipv4.conf.eth0.rp_filter",
        "net.core.somaxconn",
    ],
)
def test_the_containers_own_are_allowed(name):
    """What belongs to the IPC and network namespaces may be set."""
    check([(name, "1 2\t3")], own_network=True)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("kernel.panic", "1", "'kernel.panic' is not allowed"),
        ("kernel.hostname", "x", "is not allowed"),
        ("kernel.msgmaxx", "1", "is not allowed"),
        ("kernel.shm", "1", "is not allowed"),
        ("fs.file-max", "1", "is not allowed"),
        ("vm.swappiness", "1", "is not allowed"),
        ("net", "1", "is not allowed"),
        ("net.", "1", "is not allowed"),
        ("", "1", "is not allowed"),
        ("net/../kernel/panic", "1", "is not allowed"),
        ("net./../kernel.panic", "1", "is not allowed"),
        ("net..kernel.panic", "1", "is not allowed"),
        ("fs.mqueue./../../kernel/panic", "1", "is not allowed"),
        ("net.ipv4.\n", "1", "is not allowed"),
        ("net.ipv4.ip_forward\0", "1", "is not allowed"),
        ("net.ipv4.ip_forward", "1\n2", "invalid value"),
        ("net.ipv4.ip_forward", "\0", "invalid value"),
        ("net.ipv4.ip_forward", "é", "invalid value"),
        ("net.ipv4.ip_forward", "1" * 5000, "invalid value"),
    ],
)  # fmt: skip
def test_the_hosts_are_refused(name, value, message):
    """No name leads to a parameter of the host, however it is spelt, and a value is one line."""
    with pytest.raises(UsageError, match=message):
        check([("kernel.sem", "1"), (name, value)], own_network=True)


def test_the_hosts_network_stays_as_it_is():
    """In the host's network, net.* is the host's; the IPC namespace is still the container's."""
    check([("kernel.msgmax", "1")], own_network=False)

    with pytest.raises(UsageError, match="not allowed in the host's network"):
        check([("net.ipv4.ip_forward", "1")], own_network=False)
