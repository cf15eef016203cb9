"""How many pulls a registry still allows, as it says so itself (Docker Hub's `RateLimit` headers)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layerkit import oci
from layerkit.registry import outcome
from layerkit.registry.transport import Request

if TYPE_CHECKING:
    from layerkit.reference import Reference
    from layerkit.registry.client import Client

_QUOTA = re.compile(r"\s*(\d{1,15})\s*(?:;.*?\bw=(\d{1,15}).*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Quota:
    """`limit` pulls in `window` seconds, of which `remaining` are left; None: it does not say.

    `source` is whom the pulls are counted for, an address or a user, "" if it does not say.
    """

    limit: int | None
    remaining: int | None
    window: int | None
    source: str


def quota(client: Client, reference: Reference) -> Quota:
    """What the registry says when it is asked about a manifest by HEAD, which is no pull.

    Raises as `client.ask` does.
    """
    name = reference.digest or reference.tag
    accept = {"Accept": ", ".join((*oci.INDEX_TYPES, *oci.MANIFEST_TYPES))}
    request = Request(client.url(reference, f"manifests/{name}"), accept, "HEAD")
    what = f"manifest {reference.familiar}"
    with client.repeat(lambda: client.ask(reference, request, what)) as answer:
        limit, window = _parse(answer.header("RateLimit-Limit"))
        remaining, other = _parse(answer.header("RateLimit-Remaining"))
        source = outcome.clean(answer.header("Docker-RateLimit-Source"))
    return Quota(limit, remaining, window if window is not None else other, source)


def _parse(text: str) -> tuple[int | None, int | None]:
    """Number and window of `100;w=21600`."""
    match = _QUOTA.fullmatch(text)
    if match is None:
        return None, None
    return int(match[1]), None if match[2] is None else int(match[2])
