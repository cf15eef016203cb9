"""The page behind `diff --report`: one HTML file with a treemap, a table and the text diffs; pure.

Nothing that comes from an image becomes markup. Header names are escaped; all else travels as
JSON in a data block in which no tag can begin or end, and the script makes text nodes of it. The
page's Content-Security-Policy allows the one script and the one style by hash, no request at all,
and, where the browser knows trusted types, no HTML from strings.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from dataclasses import dataclass
from importlib import resources
from string import Template
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

Letter: TypeAlias = Literal["A", "C", "D"]

# As layerkit.cli.output.printable: controls, separators of lines, what turns the direction of
# text, and the surrogates that stand for bytes that are no UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_RAW_BYTES = range(0xDC80, 0xDD00)

# What could end a data block, or a line of script, early (HTML, "restrictions for contents of
# script elements").
_IN_SCRIPT = {ord(each): f"\\u{ord(each):04x}" for each in "<>&\u2028\u2029"}

_OTHER_BYTES = {"content", "type"}
_POLICY = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; base-uri 'none'; "
    "form-action 'none'; require-trusted-types-for 'script'"
)
_FIELDS = ("kind", "path", "type", "why", "before", "after", "bytes", "mode", "owner", "text")


@dataclass(frozen=True, slots=True)
class Row:
    """One change: `A` added, `C` changed or `D` deleted.

    `type` is a word for what the entry is (what it was, if deleted), `why` what differs, as
    `diff.compare.reasons` names it. Sizes are bytes, None for what is no regular file or not
    there; modes and owners (uid, gid) are None where there is no such side. `text` is a unified
    diff.
    """

    kind: Letter
    path: bytes
    type: str
    why: tuple[str, ...] = ()
    before_size: int | None = None
    after_size: int | None = None
    before_mode: int | None = None
    after_mode: int | None = None
    before_owner: tuple[int, int] | None = None
    after_owner: tuple[int, int] | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """Changes by kind, and the bytes by which regular files grew and shrank.

    What was added grew from nothing, what was deleted shrank to it, so `grown - shrunk` is the
    difference between the two sides.
    """

    added: int
    changed: int
    deleted: int
    grown: int
    shrunk: int


def totals(rows: Sequence[Row]) -> Totals:
    """The sums over all changes."""
    kinds = [row.kind for row in rows]
    growth = [(row.after_size or 0) - (row.before_size or 0) for row in rows]
    return Totals(
        added=kinds.count("A"),
        changed=kinds.count("C"),
        deleted=kinds.count("D"),
        grown=sum(each for each in growth if each > 0),
        shrunk=-sum(each for each in growth if each < 0),
    )


def changed_bytes(row: Row) -> int:
    """The bytes that are not as they were: of a file with other content, the larger size."""
    before, after = row.before_size or 0, row.after_size or 0
    is_other = row.kind != "C" or before != after or not _OTHER_BYTES.isdisjoint(row.why)
    return max(before, after) if is_other else 0


def shown(path: bytes) -> str:
    """A path as one line of text, with escapes for what cannot be seen or is no UTF-8."""
    return _printable(path.decode("utf-8", "surrogateescape"))


def page(old: str, new: str, rows: Sequence[Row]) -> str:
    """The whole page, which can be written as UTF-8; `old` and `new` name the two sides.

    Rows are sorted by path. The page holds all that it is given: about 25 kB, and for each change
    80 bytes, its path and its text diff; browsers bear 100,000 changes. A caller who wants a
    smaller page leaves out texts or rows.
    """
    style, script = _part("css"), _part("js")
    return Template(_part("html")).substitute(
        policy=_POLICY.format(script=_source_hash(script), style=_source_hash(style)),
        old=html.escape(_printable(old)),
        new=html.escape(_printable(new)),
        style=style,
        script=script,
        data=_data(rows),
    )


def _part(suffix: str) -> str:
    return resources.files(__package__).joinpath(f"report.{suffix}").read_text(encoding="utf-8")


def _source_hash(text: str) -> str:
    """What a policy calls an inline script or style by (CSP3 "hash-source")."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _data(rows: Sequence[Row]) -> str:
    """The rows as JSON that can stand in a script element; names of fields stand there once."""
    sums = totals(rows)
    document = {
        "totals": {name: getattr(sums, name) for name in Totals.__slots__},
        "fields": _FIELDS,
        "rows": [_values(row) for row in rows],
    }
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.translate(_IN_SCRIPT)


def _values(row: Row) -> list[object]:
    """The values of one row in the order of `_FIELDS`."""
    return [
        row.kind,
        shown(row.path),
        row.type,
        row.why,
        row.before_size,
        row.after_size,
        changed_bytes(row),
        [_mode(row.before_mode), _mode(row.after_mode)],
        [_owner(row.before_owner), _owner(row.after_owner)],
        None if row.text is None else _lines(row.text),
    ]


def _mode(mode: int | None) -> str | None:
    return None if mode is None else f"{mode:04o}"


def _owner(owner: tuple[int, int] | None) -> str | None:
    return None if owner is None else f"{owner[0]}:{owner[1]}"


def _lines(text: str) -> str:
    """Text with its line ends and tabs, all else as in a path."""
    return _UNPRINTABLE.sub(lambda match: match[0] if match[0] in "\n\t" else _escape(match), text)


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    number = ord(match[0])
    if number in _RAW_BYTES:
        number -= 0xDC00
    plain = f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"  # noqa: PLR2004
    return _NAMED.get(match[0], plain)
