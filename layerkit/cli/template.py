r"""`--format`: the common part of Go templates as docker's users write them (pure).

Supported are text, `{{.Field}}`, `{{.Field.Inner}}`, `{{.Map "key"}}`, `{{json .}}`,
`{{json .Field}}` and `\t`, `\n`; the word `json` alone for one object a line, `table` alone for the usual table, and `table`
before a template for one with headings. An unknown field is an error, never an empty string.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from layerkit.cli.output import printable
from layerkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_SUPPORTED = (
    'supported are {{.Field}}, {{.Field.Inner}}, {{.Map "key"}}, {{json .}}, {{json .Field}}, json, '
    "table"
)
_ACTION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_FIELD = re.compile(
    r"\s*(?:(json)\s+)?(\.|(?:\.[A-Za-z_][A-Za-z0-9_]*)+)" r'(?:\s+"([^"\\]*)")?\s*', re.ASCII
)
_ESCAPES = {r"\t": "\t", r"\n": "\n"}
_TABLE = re.compile(r"table(?:\s+(.*))?", re.DOTALL)
# Go's tabwriter as docker sets it up.
_NARROWEST = 10
_PADDING = 3
# What JSON lets stand as it is, but a terminal or an encoder does not.
_NOT_IN_OUTPUT = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Field(Struct, frozen=True):
    """A placeholder: the way to a value, () for the whole record, and how it is printed.

    With a `key`, the value is a map, of which that is printed; what it has not is empty.
    """

    path: tuple[str, ...]
    as_json: bool = False
    key: str | None = None


class Template(Struct, frozen=True):
    """Text and placeholders in turn."""

    parts: tuple[str | Field, ...]

    def check(self, known: Collection[str]) -> None:
        """Raise `UsageError` for a field that no record of this kind has."""
        for part in self.parts:
            if isinstance(part, Field) and part.path and part.path[0] not in known:
                raise _unknown(part, 1, known)

    def render(self, record: Mapping[str, Any]) -> str:
        """The text for one record; raises `UsageError` for a field that it has not."""
        return "".join(
            part if isinstance(part, str) else _print(part, _find(part, record))
            for part in self.parts
        )

    def headings(self, titles: Mapping[str, str]) -> str:
        """The text with the title of each field; one without a title is told by its name."""
        return "".join(
            part if isinstance(part, str) else _title(part, titles) for part in self.parts
        )


class Format(Struct, frozen=True):
    """A template, and whether its lines stand in columns below headings."""

    template: Template
    is_table: bool

    def lines(
        self, records: Sequence[Mapping[str, Any]], titles: Mapping[str, str] | None = None
    ) -> list[str]:
        """The lines for these records; `titles` are the headings of fields, and all there are."""
        if titles is not None:
            self.template.check(titles)
        rows = [self.template.render(record) for record in records]
        if not self.is_table:
            return rows
        return align([row.split("\t") for row in (self.template.headings(titles or {}), *rows)])


def parse(text: str, usual: str = "") -> Format:
    """The format that `text` spells; `usual` is the template of the command's own table, if any.

    Raises `UsageError` for what is not supported.
    """
    if text.strip() == "json":
        return Format(Template((Field((), as_json=True),)), is_table=False)
    table = _TABLE.fullmatch(text.strip())
    if table is None:
        return Format(parse_template(text), is_table=False)
    if not usual:
        raise UsageError("this command has no table: use json or a template", hint=_SUPPORTED)
    template = parse_template(table[1] or usual)
    if Field((), as_json=True) in template.parts:
        raise UsageError("a table has fields, not whole objects", hint=_SUPPORTED)
    return Format(template, is_table=True)


def parse_template(text: str) -> Template:
    """The template that `text` spells; raises `UsageError`."""
    parts: list[str | Field] = []
    end = 0
    for match in _ACTION.finditer(text):
        parts += [_literal(text[end : match.start()]), _field(match)]
        end = match.end()
    if "{{" in text[end:]:
        raise UsageError(f"bad template {text!r}: a {{{{ without }}}}", hint=_SUPPORTED)
    parts.append(_literal(text[end:]))
    return Template(tuple(part for part in parts if part))


def as_json(value: Any, *, indent: int | None = None) -> str:
    """`value` as JSON, in one line unless `indent` is given; it may hold no raw controls."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)
    return _NOT_IN_OUTPUT.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def align(rows: Sequence[Sequence[str]], *, narrowest: int = _NARROWEST) -> list[str]:
    """Lines with the cells of each column below one another; the last column has no padding."""
    columns = max(map(len, rows), default=0)
    widths = [
        max(narrowest, *(len(row[column]) + _PADDING for row in rows if column < len(row) - 1), 0)
        for column in range(columns)
    ]
    return [
        "".join(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)) + row[-1]
        for row in rows
    ]


def _literal(text: str) -> str:
    for written, meant in _ESCAPES.items():
        text = text.replace(written, meant)
    return text


def _field(action: re.Match[str]) -> Field:
    match = _FIELD.fullmatch(action[1])
    if match is None or match[0].strip() == "." or (match[3] is not None and match[2] == "."):
        raise UsageError(f"unsupported in a template: {action[0]}", hint=_SUPPORTED)
    path = tuple(filter(None, match[2].split(".")))
    return Field(path, as_json=match[1] is not None, key=match[3])


def _find(field: Field, record: Mapping[str, Any]) -> Any:
    value: Any = record
    for depth, name in enumerate(field.path, start=1):
        if not isinstance(value, Mapping) or name not in value:
            raise _unknown(field, depth, value if isinstance(value, Mapping) else ())
        value = value[name]
    if field.key is None:
        return value
    if not isinstance(value, Mapping):
        raise UsageError(f"field .{'.'.join(field.path)} has no keys")
    return value.get(field.key, "")


def _unknown(field: Field, depth: int, known: Collection[str]) -> UsageError:
    inside = "".join(f".{name}" for name in field.path[: depth - 1])
    offered = ", ".join(f"{inside}.{name}" for name in known) or "no fields in it"
    return UsageError(f"no field {inside}.{field.path[depth - 1]}: wanted one of {offered}")


def _print(field: Field, value: Any) -> str:
    return as_json(value) if field.as_json else printable(_go(value))


def _title(field: Field, titles: Mapping[str, str]) -> str:
    if field.key is not None:
        return field.key
    return titles.get(field.path[0]) or field.path[-1].upper()


def _go(value: Any) -> str:
    """A JSON value as Go's text/template prints it."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return str(value).lower()
        case list() | tuple():
            return f"[{' '.join(map(_go, value))}]"
        case Mapping():
            return f"map[{' '.join(f'{key}:{_go(value[key])}' for key in sorted(value))}]"
        case float() if value.is_integer() and abs(value) < 1e21:  # noqa: PLR2004  as Go's %v
            return str(int(value))
        case _:
            return str(value)
