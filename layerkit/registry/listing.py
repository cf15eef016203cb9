"""What a registry lists, page by page (distribution-spec "Content Discovery"): the tags."""

from __future__ import annotations

import re
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from layerkit import reference as references
from layerkit import strictjson
from layerkit.errors import NotFoundError, RegistryError
from layerkit.registry import address, outcome
from layerkit.registry.transport import Request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerkit.reference import Reference
    from layerkit.registry.answer import Answer
    from layerkit.registry.client import Client

_TAGS_AT_ONCE = 1000  # to ask for; ECR refuses more
_PAGES = 1000
_PAGE = 16 << 20  # bytes: some registries put all on one page, whatever they are asked for
ENTRIES = 500_000
"""The most that is listed; more is an error."""
_LINK = re.compile(r"<([^<>]*)>([^<]*)")
_NEXT = re.compile(r';\s*rel\s*=\s*(?:next|"next")\s*(?:[;,]|$)', re.IGNORECASE)


def tags(client: Client, reference: Reference) -> list[str]:
    """All tags of the reference's repository, sorted: some registries keep no order.

    Raises `NotFoundError` for a repository without tags, as most registries know no such thing,
    `RegistryError` and its kinds.
    """
    what = f"tags of {reference.familiar_repository}"
    found: set[str] = set()
    for raw in pages(client, reference, f"tags/list?n={_TAGS_AT_ONCE}", what):
        found.update(_tags_in(raw, f"{what} from registry {reference.registry}"))
        check_number(len(found), what)
    return sorted(found)


def pages(
    client: Client, reference: Reference, path: str, what: str, accept: str = ""
) -> Iterator[bytes]:
    """The list at `path`, one page after the other; a `Link` header says where the next one is.

    Raises `NotFoundError` where the first is not there, `RegistryError` and its kinds also for a
    list without end.
    """
    url = client.url(reference, path)
    seen: set[str] = set()
    while url:
        if url in seen or len(seen) == _PAGES:
            many = "the same page twice" if url in seen else f"more than {_PAGES} pages"
            raise RegistryError(f"registry {reference.registry} gives {many} of the {what}")
        seen.add(url)
        request = Request(url, {"Accept": accept} if accept else {})
        raw, url = client.repeat(partial(_page, client, reference, request, what))
        yield raw


def check_number(count: int, what: str) -> None:
    """Raise `RegistryError` for a list that is too long."""
    if count > ENTRIES:
        raise RegistryError(f"too many {what}: more than {ENTRIES}")


def next_link(lines: list[str]) -> str:
    """The address of the next page in `Link` headers (RFC 8288), "" if this was the last."""
    for target, parameters in (match for line in lines for match in _LINK.findall(line)):
        if _NEXT.search(parameters):
            return str(target)
    return ""


def _page(client: Client, reference: Reference, request: Request, what: str) -> tuple[bytes, str]:
    """The bytes of a page, and the URL of the next one or ""."""
    with client.ask(reference, request, what, also=(HTTPStatus.NOT_FOUND,)) as answer:
        if answer.status == HTTPStatus.NOT_FOUND:
            raise NotFoundError(f"{answer.name} has no {what}, or no such repository")
        raw = answer.read_past(_PAGE)
        if len(raw) > _PAGE:
            raise RegistryError(f"{answer.name} gives {what} on a page of more than {_PAGE} bytes")
        return raw, _following(answer, what)


def _following(answer: Answer, what: str) -> str:
    target = next_link(answer.header_lines("Link"))
    try:
        return address.follow(answer.url, target) if target else ""
    except ValueError as error:
        reason = outcome.clean(str(error))
        raise RegistryError(f"refused the next page of {what} of {answer.name}: {reason}") from None


def _tags_in(raw: bytes, what: str) -> list[str]:
    try:
        found: Any = strictjson.parse_object(raw, _PAGE).get("tags")
    except ValueError as error:
        raise RegistryError(f"cannot read {what}: {error}") from None
    found = [] if found is None else found  # Go writes null for none
    if not isinstance(found, list):
        raise RegistryError(f"cannot read {what}: no list of tags")
    for tag in found:
        if not isinstance(tag, str) or not references.is_tag(tag):
            shown = outcome.clean(repr(tag)[:100])
            raise RegistryError(f"cannot read {what}: {shown} is no tag")
    return found
