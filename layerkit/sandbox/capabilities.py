"""The capabilities of Linux by name (capabilities(7)), and the ones that docker grants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

# In the order of their numbers (include/uapi/linux/capability.h).
NAMES = (
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
)

DOCKER_CAPABILITIES = (
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
)


def mask(names: Iterable[str]) -> int:
    """The bit mask of these capabilities; raises `ValueError` for a name that is none."""
    return sum(1 << NAMES.index(name) for name in set(names))


def available() -> frozenset[str]:
    """The capabilities that this process has, and so can give to a container."""
    with open("/proc/self/status", encoding="ascii") as file:
        fields = dict(line.split(":\t", 1) for line in file if ":\t" in line)
    bits = int(fields["CapPrm"], 16) & int(fields["CapBnd"], 16)
    return frozenset(name for number, name in enumerate(NAMES) if bits >> number & 1)


def granted(
    add: Iterable[str], drop: Iterable[str], have: Collection[str], *, privileged: bool = False
) -> tuple[str, ...]:
    """What docker would grant for `--cap-add` and `--cap-drop`, of what this process itself has.

    Names are in any case, with CAP_ or without, or ALL. Raises `UsageError` for a name that is
    none, and for one to add that layerkit itself lacks.
    """
    added, dropped = _known(add, "add"), _known(drop, "drop")
    lacking = sorted(added - {"ALL"} - set(have))
    if lacking and not privileged:
        raise UsageError(f"cannot add capability {lacking[0]}: layerkit itself does not have it")
    if privileged:
        wanted = set(NAMES)
    elif "ALL" in added:
        wanted = set(NAMES) - dropped
    elif "ALL" in dropped:
        wanted = added
    else:
        wanted = set(DOCKER_CAPABILITIES) - dropped | added
    order = dict.fromkeys((*DOCKER_CAPABILITIES, *NAMES))
    return tuple(name for name in order if name in wanted and name in have)


def _known(names: Iterable[str], purpose: str) -> set[str]:
    found = set()
    for name in names:
        short = name.upper().removeprefix("CAP_")
        if short not in {*NAMES, "ALL"}:
            raise UsageError(f"unknown capability to {purpose}: {name!r}")
        found.add(short)
    return found
