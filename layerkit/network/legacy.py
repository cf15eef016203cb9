"""The FORWARD policy of iptables as it was before nf_tables (x_tables), which nftables cannot see."""

from __future__ import annotations

import socket
import struct

from layerkit import linux
from layerkit.network.addresses import BRIDGE

_TABLES = "/proc/net/ip_tables_names"
_FILTER = b"filter"
_FORWARD = 2
_GET_INFO, _GET_ENTRIES = 64, 65
_INFO = struct.Struct("=32sI5I5III")
_ENTRIES_HEADER = 40  # bytes: the table's name and the size
_TARGET_OFFSET = 88  # in struct ipt_entry
_VERDICT_OFFSET = 32  # in struct xt_standard_target
_DROP = -1


def warnings() -> tuple[str, ...]:
    """What to tell where iptables-legacy drops forwarded packets."""
    if not _is_used():
        return ()
    try:
        policy = _forward_policy()
    except OSError:  # not allowed, or the table went away
        return ()
    if policy != _DROP:
        return ()
    rules = " and ".join(f"`iptables-legacy -I FORWARD -{way} {BRIDGE} -j ACCEPT`" for way in "io")
    return (f"iptables-legacy drops what containers send and get; let it pass: {rules}",)


def _is_used() -> bool:
    try:
        with open(_TABLES, "rb", buffering=0) as names:
            return _FILTER in names.read(4096).split()
    except OSError:  # no such module, or not for this user
        return False


def _forward_policy() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as asked:
        name = _FILTER.ljust(32, b"\0")
        info = _asked(asked, _GET_INFO, name, _INFO.size)
        fields = _INFO.unpack(info)
        policies, size = fields[7:12], fields[13]
        wanted = name + struct.pack("=I", size)
        entries = _asked(asked, _GET_ENTRIES, wanted, _ENTRIES_HEADER + size)[_ENTRIES_HEADER:]
    return policy_at(entries, policies[_FORWARD])


def policy_at(entries: bytes, offset: int) -> int:
    """The verdict of the entry at an offset of the table's."""
    (target,) = struct.unpack_from("=H", entries, offset + _TARGET_OFFSET)
    (verdict,) = struct.unpack_from("=i", entries, offset + target + _VERDICT_OFFSET)
    return int(verdict)


def _asked(asked: socket.socket, option: int, value: bytes, size: int) -> bytes:
    return linux.getsockopt(asked.fileno(), socket.IPPROTO_IP, option, value, size)
