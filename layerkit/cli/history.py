"""`layerkit history`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from layerkit.cli import output, template, units
from layerkit.cli.completion import complete_images

if TYPE_CHECKING:
    from layerkit.cli.app import Settings
    from layerkit.ops.history import HistoryRow

_TITLES = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}
_TABLE = r"{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"
_EXACT_TABLE = _TABLE.replace("CreatedSince", "CreatedAt")
_LONGEST_COMMAND = 45
_DOCKER_FORMS = {
    "--human=true": "--human",
    "-H=true": "--human",
    "--human=false": "--no-human",
    "-H=false": "--no-human",
}


class _History(click.Command):
    """Takes docker's `--human=false`, too: click knows no values of flags."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [_DOCKER_FORMS.get(each, each) for each in args])


@click.command("history", cls=_History)
@click.argument("image", shell_complete=complete_images)
@click.option("--no-trunc", is_flag=True, help="Print ids and commands in full.")
@click.option("-q", "--quiet", is_flag=True, help="Print only the ids.")
@click.option(
    "-H", "--human/--no-human", default=True, help="Sizes and times for people (the default)."
)
@click.option("--format", "text", metavar="FORMAT", help="json, table, or a Go template.")
@click.pass_obj
def command(
    settings: Settings,
    *,
    image: str,
    no_trunc: bool,
    quiet: bool,
    human: bool,
    text: str | None,
) -> None:
    """Show the history of an image."""
    from layerkit.ops.history import history  # noqa: PLC0415  not for --help

    usual = "{{.ID}}" if quiet else _TABLE if human else _EXACT_TABLE
    shape = template.parse(text or ("{{.ID}}" if quiet else "table"), usual)
    with settings.open_home() as home:
        rows = history(home, image)
    now = datetime.now(UTC)
    records = [_record(row, now, full=no_trunc, human=human) for row in rows]
    for line in shape.lines(records, _TITLES):
        output.line(line)


def _record(row: HistoryRow, now: datetime, *, full: bool, human: bool) -> dict[str, str]:
    created = units.rfc3339(row.created)
    return {
        "ID": row.id if full else row.id.removeprefix("sha256:")[:12],
        "CreatedSince": units.ago(row.created, now) if human else created,
        "CreatedAt": created,
        "CreatedBy": _command(row.created_by, full=full),
        "Size": units.human_size(row.size) if human else str(row.size),
        "Comment": row.comment,
    }


def _command(text: str, *, full: bool) -> str:
    text = text.replace("\t", " ")
    if full or len(text) <= _LONGEST_COMMAND:
        return text
    return text[: _LONGEST_COMMAND - 1] + "…"
