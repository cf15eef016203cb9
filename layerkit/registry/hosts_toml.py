"""containerd's `hosts.toml` for one registry: mirrors in the order of the file, then its server."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from layerkit.registry.endpoints import ALL, TLS, Action, Endpoint, at_host, at_url

if TYPE_CHECKING:
    from pathlib import Path

    from layerkit.reference import Reference
    from layerkit.registry.settings import Table

FILE = "hosts.toml"

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_HEADER_VALUE = re.compile(r"[\t -~]*", re.ASCII)
_NO_ACTION = Action(0)
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def endpoints(file: Table, reference: Reference) -> list[Endpoint]:
    """The endpoints that a `hosts.toml` has for an image of its registry.

    Raises `UsageError` for a value that cannot be.
    """
    hosts = file.table("host")
    mirrors = [_configured(hosts, url, hosts.table(url), reference) for url in hosts]
    return [*mirrors, _server(file, reference)]


def _server(file: Table, reference: Reference) -> Endpoint:
    """What the outermost table sets, for the server it names or the registry itself."""
    if url := file.text("server"):
        found = _configured(file, url, file, reference, named_by="server")
    else:
        (origin,) = at_host(reference, reference.host, tls=_tls(file))
        found = _with_settings(origin, file)
    return found


def _configured(
    parent: Table, url: str, table: Table, reference: Reference, named_by: str = ""
) -> Endpoint:
    try:
        endpoint = at_url(reference, url, override_path=table.flag("override_path"))
    except ValueError as error:
        raise parent.error(named_by or url, f"not the URL of a registry: {error}") from None
    return _with_settings(endpoint, table)


def _with_settings(endpoint: Endpoint, table: Table) -> Endpoint:
    return replace(
        endpoint,
        actions=_actions(table),
        headers=_headers(table.table("header")),
        tls=_tls(table),
        connect=_seconds(table, "dial_timeout"),
    )


def _actions(table: Table) -> Action:
    actions = _NO_ACTION
    for name in table.texts("capabilities"):
        action = Action.__members__.get(name.upper())
        if action is None:
            wanted = ", ".join(Action.__members__).lower()
            raise table.error("capabilities", f"got {name!r}, wanted some of {wanted}")
        actions |= action
    return actions or ALL


def _tls(table: Table) -> TLS:
    folder = table.path.parent
    return TLS(
        tuple(folder / path for path in table.texts("ca")),
        tuple(_pair(table, folder, item) for item in table.items("client")),
        verify=not table.flag("skip_verify"),
    )


def _pair(table: Table, folder: Path, item: Any) -> tuple[Path, Path]:
    """Certificate and key: one file with both, or two, of which the second may be left out."""
    match item:
        case str(both) | [str(both), ""] if both:
            return folder / both, folder / both
        case [str(certificate), str(key)] if certificate:
            return folder / certificate, folder / key
    raise table.error("client", "wanted a path, a list of paths, or a list of pairs of paths")


def _headers(table: Table) -> tuple[tuple[str, str], ...]:
    found = []
    for name in table:
        for value in table.texts(name):
            if not (_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)):
                raise table.error(name, "not possible as an HTTP header")
            found.append((name, value))
    return tuple(found)


def _seconds(table: Table, key: str) -> float | None:
    """A duration as Go writes it, `1m30s`; none or "0s" is None."""
    text = table.text(key)
    parts = _DURATION.findall(text)
    if "".join(number + unit for number, unit in parts) != text:
        raise table.error(key, f"got {text!r}, wanted a duration such as 30s or 500ms")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts) or None
