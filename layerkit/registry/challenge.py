"""How a registry asks for a login: the `WWW-Authenticate` header and the token request (pure).

RFC 9110 §11.6.1; distribution-spec leaves the rest to docker's "Token Authentication" page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from layerkit.registry import address

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105  RFC 9110's name for a word
_GAP = re.compile(r"[ \t,]*")
_SCHEME = re.compile(rf"({_TOKEN})(?=[ \t,]|$)[ \t]*", re.ASCII)
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*[ \t]*(?=,|$)", re.ASCII)
_PARAMETER = re.compile(
    rf'({_TOKEN})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))(?=[ \t,]|$)', re.ASCII
)
_ESCAPE = re.compile(r"\\(.)")
_CLIENT = "layerkit"


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to log in; scheme and parameter names in lower case."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Access:
    """What a request does: `actions` with its own repository; it reads `sources`, others there."""

    actions: str = "pull"
    sources: tuple[str, ...] = ()

    def scopes(self, repository: str, named: str) -> tuple[str, ...]:
        """The scopes to ask for, where the registry named some; without a repository, no other.

        A registry may call a repository by another name than we do, so its scopes count; ours only
        add actions, and what it cannot know of.
        """
        wanted = [f"repository:{repository}:{self.actions}"] if repository else []
        scopes = named.split() or wanted
        merged = [_widened(scope, wanted) for scope in scopes]
        others = (f"repository:{source}:pull" for source in self.sources)
        return tuple(dict.fromkeys([*merged, *others]))


PULL = Access()
PUSH = Access("pull,push")


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What a token is asked for with, and so what it is good for."""

    realm: str
    service: str
    scopes: tuple[str, ...]

    @property
    def url(self) -> str:
        """The URL to GET."""
        query = [("service", self.service)] if self.service else []
        query += [("scope", scope) for scope in self.scopes]
        separator = "&" if "?" in self.realm else "?"
        return f"{self.realm}{separator}{urlencode(query)}" if query else self.realm

    def form(self, refresh_token: str) -> bytes:
        """The body to POST to the realm, with an identity token (RFC 6749 §6)."""
        fields = {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
            "service": self.service,
            "scope": " ".join(self.scopes),
            "client_id": _CLIENT,
        }
        return urlencode({name: value for name, value in fields.items() if value}).encode()


def parse(lines: Iterable[str]) -> list[Challenge]:
    """The challenges in these header lines, in order; `ValueError` if one cannot be read."""
    return [challenge for line in lines for challenge in _parse_line(line)]


def choose(challenges: Iterable[Challenge]) -> Challenge | None:
    """The best challenge that layerkit can answer: Bearer, else Basic, else none."""
    offers = list(challenges)
    for scheme in ("bearer", "basic"):
        for offer in offers:
            if offer.scheme == scheme:
                return offer
    return None


def token_request(
    challenge: Challenge, url: str, repository: str, access: Access = PULL
) -> TokenRequest:
    """The request that answers a Bearer challenge to `url`; `ValueError` if it must not be sent.

    A relative realm is one on the registry.
    """
    realm = address.follow(url, challenge.parameters.get("realm", ""))
    scopes = access.scopes(repository, challenge.parameters.get("scope", ""))
    return TokenRequest(realm, challenge.parameters.get("service", ""), scopes)


def _widened(scope: str, wanted: Iterable[str]) -> str:
    """A scope with the actions of those in `wanted` that are about the same thing."""
    thing, _, actions = scope.rpartition(":")
    all_actions = actions.split(",")
    for other in wanted:
        same, _, more = other.rpartition(":")
        all_actions += more.split(",") if same == thing else []
    return f"{thing}:{','.join(dict.fromkeys(all_actions))}" if thing else scope


def _parse_line(line: str) -> list[Challenge]:
    found: list[tuple[str, dict[str, str]]] = []
    position = _skip(_GAP, line, 0)
    while position < len(line):
        parameter = _PARAMETER.match(line, position)
        scheme = _SCHEME.match(line, position)
        if parameter and found:
            name, quoted, plain = parameter.groups()
            value = plain if quoted is None else _ESCAPE.sub(r"\1", quoted)
            found[-1][1].setdefault(name.lower(), value)
            position = parameter.end()
        elif scheme:
            found.append((scheme[1].lower(), {}))
            position = _skip(_TOKEN68, line, scheme.end())
        else:
            raise ValueError("it is not a list of challenges")
        position = _skip(_GAP, line, position)
    return [Challenge(name, parameters) for name, parameters in found]


def _skip(pattern: re.Pattern[str], line: str, position: int) -> int:
    match = pattern.match(line, position)
    return position if match is None else match.end()
