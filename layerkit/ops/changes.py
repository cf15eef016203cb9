"""Changes of an image's config, written as lines of a Dockerfile (`import -c`), as docker reads them.

Words are quoted as in a shell; `$NAME`, `${NAME}`, `${NAME:-word}` and `${NAME:+word}` stand for
variables that the config has so far. `CMD` and `ENTRYPOINT` are not expanded: their shell does that.
"""

from __future__ import annotations

import json
import posixpath
import re
from typing import TYPE_CHECKING, Any

from layerkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_VARIABLE = r"\$(?:(?P<name>\w+)|\{(?P<braced>\w+)(?::(?P<how>[-+])(?P<word>[^}]*))?\})"
_TOKEN = re.compile(
    rf"""(?P<blank>\s+)|'(?P<literal>[^']*)'|"(?P<quoted>(?:[^"\\]|\\.)*)"|\\(?P<escaped>.)"""
    rf"""|(?P<variable>{_VARIABLE})|(?P<plain>[^\s'"\\$]+|\$(?!\{{))""",
    re.ASCII | re.DOTALL,
)
_IN_QUOTES = re.compile(rf"""\\(?P<escaped>["$\\])|{_VARIABLE}""", re.ASCII)
_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?", re.ASCII | re.IGNORECASE)
_LAST_PORT = 65535


class Changes:
    """An image's config (image-spec config.md, "config") on its way through the instructions."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = dict(config)
        self._has_command = False
        self._instructions: dict[str, Callable[[str], None]] = {
            "CMD": self._cmd,
            "ENTRYPOINT": self._entrypoint,
            "ENV": self._env,
            "EXPOSE": self._expose,
            "LABEL": self._label,
            "STOPSIGNAL": self._stop_signal,
            "USER": self._user,
            "VOLUME": self._volume,
            "WORKDIR": self._workdir,
        }

    def apply(self, line: str) -> None:
        """Make one change; raises `UsageError`."""
        keyword, rest = [*line.split(None, 1), "", ""][:2]
        instruction = self._instructions.get(keyword.upper())
        if instruction is None:
            known = ", ".join(self._instructions)
            raise UsageError(f"unknown change {keyword!r}: wanted one of {known}")
        if not rest:
            raise UsageError(f"invalid change {line!r}: it has no argument")
        try:
            instruction(rest.rstrip())
        except ValueError as error:
            raise UsageError(f"invalid change {line!r}: {error}") from None

    def _cmd(self, text: str) -> None:
        self.config["Cmd"] = _command(text)
        self._has_command = True

    def _entrypoint(self, text: str) -> None:
        self.config["Entrypoint"] = _command(text)
        if not self._has_command:  # it was made for the old entrypoint
            self.config.pop("Cmd", None)

    def _env(self, text: str) -> None:
        # A variable that is there keeps its place.
        variables = {**self._variables(), **dict(self._pairs(text))}
        self.config["Env"] = [f"{name}={value}" for name, value in variables.items()]

    def _expose(self, text: str) -> None:
        ports = dict(self.config.get("ExposedPorts") or {})
        for word in _words(text, self._variables()):
            ports.update((port, {}) for port in _ports(word))
        self.config["ExposedPorts"] = ports

    def _label(self, text: str) -> None:
        self.config["Labels"] = {**(self.config.get("Labels") or {}), **dict(self._pairs(text))}

    def _stop_signal(self, text: str) -> None:
        self.config["StopSignal"] = self._single(text)

    def _user(self, text: str) -> None:
        self.config["User"] = self._single(text)

    def _volume(self, text: str) -> None:
        paths = _json_strings(text)
        if paths is None:
            paths = _words(text, self._variables())
        if not all(paths):
            raise ValueError("a volume without a path")
        volumes: dict[str, Any] = {path: {} for path in paths}
        self.config["Volumes"] = {**(self.config.get("Volumes") or {}), **volumes}

    def _workdir(self, text: str) -> None:
        below = posixpath.join("/", self.config.get("WorkingDir") or "/")
        path = posixpath.normpath(posixpath.join(below, _expand(text, self._variables())))
        self.config["WorkingDir"] = "/" + path.lstrip("/")

    def _single(self, text: str) -> str:
        words = _words(text, self._variables())
        if len(words) != 1:
            raise ValueError("wanted exactly one argument")
        return words[0]

    def _pairs(self, text: str) -> list[tuple[str, str]]:
        """`NAME=VALUE …`, or docker's older `NAME VALUE` in which the value may have blanks."""
        variables = self._variables()
        if "=" not in text.split(None, 1)[0]:
            name, *value = text.split(None, 1)
            if not value:
                raise ValueError(f"{name!r} has no value")
            return [(_expand(name, variables), _expand(value[0], variables))]
        pairs = []
        for word in _words(text, variables):
            name, equals, its = word.partition("=")
            if not name or not equals:
                raise ValueError(f"{word!r} is not NAME=VALUE")
            pairs.append((name, its))
        return pairs

    def _variables(self) -> dict[str, str]:
        pairs = (each.partition("=") for each in self.config.get("Env") or ())
        return {name: value for name, _, value in pairs}


def changed(config: dict[str, Any], lines: Iterable[str]) -> dict[str, Any]:
    """The config after these changes, one after another; raises `UsageError`."""
    changes = Changes(config)
    for line in lines:
        changes.apply(line)
    return changes.config


def _command(text: str) -> list[str]:
    """A JSON array of words, or a line for the shell."""
    words = _json_strings(text)
    return ["/bin/sh", "-c", text] if words is None else words


def _json_strings(text: str) -> list[str] | None:
    try:
        found = json.loads(text) if text.startswith("[") else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        return None
    return found


def _ports(word: str) -> Iterator[str]:
    match = _PORTS.fullmatch(word)
    if match is None:
        raise ValueError(f"{word!r} is not PORT[-PORT][/tcp|udp|sctp]")
    first = int(match[1])
    last = int(match[2] or first)
    if not 0 < first <= last <= _LAST_PORT:
        raise ValueError(f"{word!r} is no range of ports")
    for port in range(first, last + 1):
        yield f"{port}/{(match[3] or 'tcp').lower()}"


# -- words ----------------------------------------------------------------------------------------


def _words(text: str, variables: dict[str, str]) -> list[str]:
    words: list[str] = []
    is_new = True
    for is_blank, piece in _tokens(text, variables):
        if is_blank:
            is_new = True
        elif is_new:
            words.append(piece)
            is_new = False
        else:
            words[-1] += piece
    return words


def _expand(text: str, variables: dict[str, str]) -> str:
    """The whole text as one word, blanks included."""
    return "".join(piece for _, piece in _tokens(text, variables))


def _tokens(text: str, variables: dict[str, str]) -> Iterator[tuple[bool, str]]:
    """The text in pieces, quotes off and variables replaced: (is it a blank, the piece)."""
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"a quote or brace is not closed: {text[position:]!r}")
        yield match["blank"] is not None, _piece(match, variables)
        position = match.end()


def _piece(match: re.Match[str], variables: dict[str, str]) -> str:
    if match["variable"] is not None:
        return _value(match, variables)
    if match["quoted"] is not None:
        return _IN_QUOTES.sub(
            lambda inner: inner["escaped"] or _value(inner, variables), match["quoted"]
        )
    parts = (match[name] for name in ("blank", "literal", "escaped", "plain"))
    return next(part for part in parts if part is not None)


def _value(match: re.Match[str], variables: dict[str, str]) -> str:
    value = variables.get(match["name"] or match["braced"], "")
    if match["how"] == "-":
        return value or str(match["word"])
    if match["how"] == "+":
        return str(match["word"]) if value else ""
    return value
