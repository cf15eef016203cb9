"""`layerkit images`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from layerkit.cli import output, template, units
from layerkit.cli.completion import complete_images
from layerkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layerkit.cli.app import Settings
    from layerkit.ops.images import ImageRow

_NONE = "<none>"
_TITLES = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "ID": "IMAGE ID",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
}
_TABLE = r"{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
_TABLE_WITH_DIGESTS = _TABLE.replace(r"{{.ID}}", r"{{.Digest}}\t{{.ID}}")


@click.command("images")
@click.argument(
    "name", metavar="[REPOSITORY[:TAG]]", required=False, shell_complete=complete_images
)
@click.option("-a", "--all", "_all", is_flag=True, help="As without: there are no hidden images.")
@click.option("-q", "--quiet", is_flag=True, help="Print only the ids.")
@click.option("--no-trunc", is_flag=True, help="Print ids in full.")
@click.option("--digests", is_flag=True, help="Show the digests that registries know.")
@click.option(
    "-f",
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="dangling=true|false, or reference=PATTERN.",
)
@click.option("--format", "text", metavar="FORMAT", help="json, table, or a Go template.")
@click.pass_obj
def command(
    settings: Settings,
    *,
    name: str | None,
    _all: bool,
    quiet: bool,
    no_trunc: bool,
    digests: bool,
    filters: tuple[str, ...],
    text: str | None,
) -> None:
    """List images."""
    usual = "{{.ID}}" if quiet else _TABLE_WITH_DIGESTS if digests else _TABLE
    shape = template.parse(text or ("{{.ID}}" if quiet else "table"), usual)
    patterns, dangling = _parse_filters(filters)
    rows = _rows(settings, [*([name] if name else []), *patterns])
    if dangling is not None:
        rows = [row for row in rows if (row.repository == _NONE) == dangling]
    now = datetime.now(UTC)
    records = [_record(row, now, full=no_trunc) for row in rows]
    for line in shape.lines(records, _TITLES):
        output.line(line)


def _parse_filters(filters: Sequence[str]) -> tuple[list[str], bool | None]:
    """The patterns of names, and whether only images without or with one are wanted."""
    patterns, dangling = [], None
    for item in filters:
        match item.partition("="):
            case "reference", "=", pattern:
                patterns.append(pattern)
            case "dangling", "=", "true" | "false" as value:
                dangling = value == "true"
            case _:
                raise UsageError(
                    f"unsupported filter {item!r}: wanted dangling=true, dangling=false or "
                    "reference=PATTERN"
                )
    return patterns, dangling


def _rows(settings: Settings, patterns: Sequence[str]) -> list[ImageRow]:
    """The rows that one of the patterns fits; without a pattern, all."""
    from layerkit.ops.images import list_images  # noqa: PLC0415  not for --help

    with settings.open_home() as home:
        rows = list_images(home, None)
        fitting = {row for pattern in patterns for row in list_images(home, pattern)}
    tagged = {(row.id, row.repository) for row in rows if row.tag != _NONE}
    return [
        row
        for row in rows
        if (row in fitting or not patterns)
        # A digest has a line of its own only where no tag of that repository has one.
        and (row.tag != _NONE or (row.id, row.repository) not in tagged)
    ]


def _record(row: ImageRow, now: datetime, *, full: bool) -> dict[str, str]:
    return {
        "Repository": row.repository,
        "Tag": row.tag,
        "Digest": row.digest,
        "ID": str(row.id) if full else row.id.short,
        "CreatedSince": units.ago(row.created, now),
        "CreatedAt": units.local_time(row.created),
        "Size": units.human_size(row.size),
    }
