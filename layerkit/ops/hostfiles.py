"""A container's own hosts, hostname and resolv.conf, from the host's."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from layerkit.ops.wishes import Networking

_HOSTS = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""
# systemd-resolved listens on loopback; behind it, this file has the servers it asks.
_PUBLIC = ("8.8.8.8", "8.8.4.4")
"""docker's name servers where the host has none that a container can reach."""
_RESOLVED = Path("/run/systemd/resolve/resolv.conf")


def texts(hostname: str, networking: Networking) -> dict[str, str]:
    """The files by name, as docker fills them."""
    return {
        "hosts": hosts(networking, ()),
        "hostname": f"{hostname}\n",
        "resolv.conf": _resolv_conf(networking),
    }


def hosts(networking: Networking, known: Iterable[tuple[str, str]]) -> str:
    """/etc/hosts with what the user wished for, and `known` pairs of an address and its names."""
    text = _HOSTS
    if networking.mode == "host":
        text = _read(Path("/etc/hosts")) or _HOSTS
    lines = [f"{address}\t{name}\n" for name, address in networking.hosts]
    lines += [f"{address}\t{names}\n" for address, names in known]
    return text + "".join(lines)


def _resolv_conf(networking: Networking) -> str:
    text = _of_the_host(networking.mode)
    if networking.dns:
        text = _without("nameserver", text)
        text += "".join(f"nameserver {address}\n" for address in networking.dns)
    if networking.dns_search:
        text = _without("search", _without("domain", text))
        if networking.dns_search != (".",):  # resolv.conf(5): no domain is searched
            text += f"search {' '.join(networking.dns_search)}\n"
    if networking.dns_options:
        text = f"{_without('options', text)}options {' '.join(networking.dns_options)}\n"
    return text


def _without(keyword: str, text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if line.split()[:1] != [keyword])


def _of_the_host(mode: str) -> str:
    text = _read(Path("/etc/resolv.conf"))
    if mode == "host":
        return text
    without = without_loopback(text)
    if without != text and "nameserver" not in without:
        without = without_loopback(_read(_RESOLVED)) or without
    if mode == "bridge" and "nameserver" not in without:
        without += "".join(f"nameserver {address}\n" for address in _PUBLIC)
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
