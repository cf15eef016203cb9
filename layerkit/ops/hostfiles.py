"""A container's own hosts, hostname and resolv.conf, from the host's."""

from __future__ import annotations

import ipaddress
from pathlib import Path

_HOSTS = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""
# systemd-resolved listens on loopback; behind it, this file has the servers it asks.
_RESOLVED = Path("/run/systemd/resolve/resolv.conf")


def texts(hostname: str, network: str) -> dict[str, str]:
    """The files by name, as docker fills them."""
    hosts = _HOSTS
    if network == "host":
        hosts = _read(Path("/etc/hosts")) or _HOSTS
    return {
        "hosts": hosts,
        "hostname": f"{hostname}\n",
        "resolv.conf": _resolv_conf(network),
    }


def _resolv_conf(network: str) -> str:
    text = _read(Path("/etc/resolv.conf"))
    if network == "host":
        return text
    without = without_loopback(text)
    if without != text and "nameserver" not in without:
        without = without_loopback(_read(_RESOLVED)) or without
    return without


def without_loopback(text: str) -> str:
    """A resolv.conf without the name servers that a network of its own could not reach."""
    return "".join(line for line in text.splitlines(keepends=True) if not _is_loopback(line))


def _is_loopback(line: str) -> bool:
    words = line.split()
    if len(words) < 2 or words[0] != "nameserver":  # noqa: PLR2004
        return False
    try:
        return ipaddress.ip_address(words[1].partition("%")[0]).is_loopback
    except ValueError:
        return False


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
