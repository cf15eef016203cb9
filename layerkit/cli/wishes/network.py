"""The network: its mode, and names of hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from layerkit.cli.wishes.addresses import address
from layerkit.cli.wishes.ports import publications
from layerkit.errors import UsageError
from layerkit.ops.wishes import Networking

if TYPE_CHECKING:
    from collections.abc import Mapping

HOST_GATEWAY = "10.99.0.1"
"""The address of the bridge, at which a container reaches the host."""

_CONTAINER = "container:"
_LONGEST_HOSTNAME = 64  # HOST_NAME_MAX
_LONGEST_DOMAIN = 254


def networking(values: Mapping[str, Any]) -> Networking:
    """The network that the options of these names ask for.

    Raises `UsageError` for a text that is none, and where the network of another container is
    given names or ports of its own.
    """
    found = Networking(
        mode=mode(values["network"]),
        publications=publications(values["publish"]),
        publish_all=values["publish_all"],
        dns=tuple(address(each.strip(), f"--dns {each!r}") for each in values["dns"]),
        dns_search=tuple(map(domain, values["dns_search"])),
        dns_options=tuple(map(_dns_option, values["dns_option"])),
        hosts=tuple(map(host, values["add_host"])),
    )
    if found.mode.startswith(_CONTAINER):
        _check_joined(found, values["hostname"])
    return found


def _check_joined(found: Networking, hostname: str | None) -> None:
    own = {
        "--hostname": hostname,
        "--add-host": found.hosts,
        "--dns": found.dns or found.dns_search or found.dns_options,
        "--publish": found.publications or found.publish_all,
    }
    for option, value in own.items():
        if value:
            raise UsageError(f"conflicting options: {option} and --network {found.mode}")


def mode(text: str) -> str:
    """The mode of `Networking` that `--network` names; raises `UsageError`."""
    if text == "default":
        return "bridge"
    if text in ("bridge", "none", "host") or text.removeprefix(_CONTAINER) not in ("", text):
        return text
    raise UsageError(
        f"network {text} not found", hint="there are bridge, none, host and container:NAME"
    )


def host(text: str) -> tuple[str, str]:
    """The name and address of `NAME:IP` or `NAME=IP`; `host-gateway` is the host's address.

    Raises `UsageError`.
    """
    what = f"--add-host {text!r}"
    name, found, ip = text.partition("=" if "=" in text else ":")
    if not found or not _is_word(name) or ":" in name:
        raise UsageError(f"invalid {what}: wanted NAME:IP")
    if ip == "host-gateway":
        return name, HOST_GATEWAY
    return name, address(ip[1:-1] if ip.startswith("[") and ip.endswith("]") else ip, what)


def hostname(text: str) -> str:
    """A host name that the kernel and /etc/hosts take; raises `UsageError`."""
    if _is_word(text) and "/" not in text and len(text.encode()) <= _LONGEST_HOSTNAME:
        return text
    raise UsageError(
        f"invalid --hostname {text!r}: wanted up to {_LONGEST_HOSTNAME} bytes without '/' and spaces"
    )


def domain(text: str) -> str:
    """A domain to search in, or `.` for none; raises `UsageError`."""
    name = text.strip(" ")
    labels = name.removesuffix(".").split(".")
    if name == ".":
        return name
    if len(name) <= _LONGEST_DOMAIN and all(map(_is_label, labels)) and any(map(str.isalpha, name)):
        return name.removesuffix(".")
    raise UsageError(f"invalid --dns-search {text!r}: wanted a domain")


def _is_label(text: str) -> bool:
    letters = text.replace("-", "")
    return letters.isalnum() and letters.isascii() and text[0] != "-" != text[-1]


def _dns_option(text: str) -> str:
    if not _is_word(text):
        raise UsageError(f"invalid --dns-option {text!r}: wanted an option of resolv.conf(5)")
    return text


def _is_word(text: str) -> bool:
    """Whether it can stand in a line of a file without being taken for more than one word."""
    return text.isprintable() and text.split() == [text] and "#" not in text
