"""Lists are read to their end, and only to an end."""

from __future__ import annotations

import json

import pytest
from support.faults import status, with_headers
from support.registry import Reply
from support.uploads import UploadRegistry

from layerkit.errors import AuthError, NotFoundError, RegistryError
from layerkit.registry import listing

NAMES = [f"v{number:02}" for number in range(25)]


@pytest.fixture
def registry():
    """A registry with a repository `app` of many tags."""
    with UploadRegistry() as registry:
        for name in NAMES:
            registry.add_manifest("app", b"{}", "application/x", name)
        yield registry


@pytest.fixture
def tags(registry, client, refer):
    """Lists the tags of `app`."""
    return lambda name="app": listing.tags(client, refer(registry, name))


def serving(document, **headers):
    """Answers with a JSON document."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return lambda _request, _serve: Reply(200, headers, body)


def test_one_page_is_all_without_a_link(registry, tags):
    """X01: fewer than asked for is no sign of an end, the missing Link is."""
    assert tags() == NAMES
    assert [(each.path, each.query) for each in registry.requests] == [
        ("/v2/app/tags/list", "n=1000")
    ]
    assert "manifest" not in registry.requests[0].headers.get("Accept", "")  # Artifactory: 406


@pytest.mark.parametrize("size", [1, 7, 24, 25])
@pytest.mark.parametrize("absolute", [False, True], ids=["X01-relative", "X01-absolute"])
def test_every_page_is_read(registry, tags, size, absolute):
    """X01: Links are followed, relative ones and absolute ones."""
    registry.page = size
    if absolute:
        registry.locate = lambda path: registry.url + path

    assert tags() == NAMES
    assert len(registry.requests) == -(-len(NAMES) // size)


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ('<ftp://x/next>; rel="next"', "neither http nor https"),
        ('<http://user:secret@x/>; rel="next"', "credentials in it"),
        ('</v2/app/tags/list?n=1000>; rel="next"', "the same page twice"),
        ('</v2/app/tags/list?last=x>; rel="next"', "the same page twice"),
        ('<>; rel="next", </v2/app/tags/list?n=1000>; rel="next"', None),
    ],
    ids=["X01-scheme", "X01-userinfo", "X01-loop-at-once", "X01-loop", "empty"],
)
def test_a_link_to_nowhere_good_is_refused(registry, tags, link, reason):
    """X01: what must not be asked is not asked, and a circle ends."""
    registry.fault("/tags/", with_headers({"Link": link}))
    if reason is None:
        assert tags() == NAMES
        return
    with pytest.raises(RegistryError, match=reason) as caught:
        tags()
    assert "secret" not in caught.value.message


def test_a_link_from_https_to_http_is_refused(refer, registry, client, monkeypatch):
    """X01: a registry with TLS does not make its clients go on without."""
    monkeypatch.setattr(listing.address, "follow", _as_if_https(listing.address.follow))
    registry.page = 3
    registry.locate = lambda path: registry.url + path

    with pytest.raises(RegistryError, match="without TLS"):
        listing.tags(client, refer(registry, "app"))


def _as_if_https(follow):
    return lambda base, target: follow(base.replace("http://", "https://"), target)


def test_endless_pages_end(registry, tags, monkeypatch):
    """X01: the number of pages has a limit."""
    monkeypatch.setattr(listing, "_PAGES", 3)
    registry.page = 1

    with pytest.raises(RegistryError, match="more than 3 pages of the tags"):
        tags()


def test_too_many_tags_are_refused(tags, monkeypatch):
    """X01: the number of entries has a limit."""
    monkeypatch.setattr(listing, "ENTRIES", 24)

    with pytest.raises(RegistryError, match=r"too many tags of .*: more than 24"):
        tags()


def test_a_page_without_end_is_refused(registry, tags, monkeypatch):
    """X01: the bytes of a page have a limit."""
    monkeypatch.setattr(listing, "_PAGE", 10)

    with pytest.raises(RegistryError, match="page of more than 10 bytes"):
        tags()
    assert len(registry.requests) == 1


def test_an_unknown_repository_has_no_tags(tags):
    """X01: 404 means either: registries do not tell."""
    with pytest.raises(NotFoundError, match=r"has no tags of .*none, or no such repository"):
        tags("none")


@pytest.mark.parametrize("document", [{"tags": []}, {"tags": None}, {}])
def test_no_tags_are_no_error(registry, tags, document):
    """X01: Go writes null for an empty list."""
    registry.fault("/tags/", serving(document))

    assert tags() == []


@pytest.mark.parametrize(
    "document",
    [
        b"<html>log in</html>",
        b"[]",
        {"tags": "a"},
        {"tags": [1]},
        {"tags": ["a/../b"]},
        {"tags": ["\x1b[31mred"]},
        {"tags": ["x" * 129]},
    ],
    ids=["html", "list", "text", "number", "path", "escape", "long"],
)
def test_what_is_no_list_of_tags_is_refused(registry, tags, document):
    """X01: a tag goes into paths and onto terminals, so it must be one."""
    registry.fault("/tags/", serving(document))

    with pytest.raises(RegistryError, match="cannot read tags of") as caught:
        tags()
    assert "\x1b" not in caught.value.message


@pytest.mark.parametrize(
    ("code", "kind"), [(401, AuthError), (403, AuthError), (400, RegistryError)]
)
def test_refusals_are_errors(registry, tags, code, kind):
    """X01: only 404 says that there is nothing."""
    registry.fault("/tags/", status(code))

    with pytest.raises(kind):
        tags()


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        (['</a>; rel="next"'], "/a"),
        (["</a>; rel=next"], "/a"),
        (['</a>; title="x"; rel="next"'], "/a"),
        (['</a>; rel="next"; title="x"'], "/a"),
        (['</p>; rel="prev", </a>; rel="next"'], "/a"),
        (['</p>; rel="prev"', '</a>; rel="next"'], "/a"),
        (["</a>;REL=NEXT"], "/a"),
        (['</a>; rel="prev"'], ""),
        (['</a>; rel="nextish"'], ""),
        (["</a>"], ""),
        (["nonsense"], ""),
        ([], ""),
    ],
)
def test_the_next_page_is_found(lines, wanted):
    """RFC 8288: the target of the link whose relation is "next"."""
    assert listing.next_link(lines) == wanted
