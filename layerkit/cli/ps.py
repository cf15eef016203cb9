"""`layerkit ps`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from layerkit.cli import listing, output, template

if TYPE_CHECKING:
    from layerkit.cli.app import Settings

_TABLE = r"{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"
_SIZE = r"\t{{.Size}}"
_WHOLE = template.Field((), as_json=True)


@click.command("ps")
@click.option("-a", "--all", "everything", is_flag=True, help="Show also those that do not run.")
@click.option("-q", "--quiet", is_flag=True, help="Print only the ids.")
@click.option("-l", "--latest", is_flag=True, help="Show the one made last, running or not.")
@click.option(
    "-n", "--last", type=int, default=0, metavar="NUMBER", help="As -l, for so many of them."
)
@click.option("--no-trunc", is_flag=True, help="Print ids, commands and names in full.")
@click.option("-s", "--size", is_flag=True, help="Show how much each one wrote.")
@click.option(
    "-f",
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="name=, id=, status=, exited=, ancestor=, label=, publish=, network= or volume=.",
)
@click.option("--format", "text", metavar="FORMAT", help="json, table, or a Go template.")
@click.pass_obj
def command(  # noqa: PLR0913  docker ps has these options
    settings: Settings,
    *,
    everything: bool,
    quiet: bool,
    latest: bool,
    last: int,
    no_trunc: bool,
    size: bool,
    filters: tuple[str, ...],
    text: str | None,
) -> None:
    """List containers."""
    from layerkit.ops.ps import chosen, list_containers  # noqa: PLC0415  not for --help

    usual = "{{.ID}}" if quiet else _TABLE + (_SIZE if size else "")
    shape = template.parse(text or ("{{.ID}}" if quiet else "table"), usual)
    fields = [part for part in shape.template.parts if isinstance(part, template.Field)]
    measured = size or any(field.path[:1] == ("Size",) for field in fields)
    with settings.open_home() as home:
        found = list_containers(home, size=measured)
    wanted = chosen(found, filters, everything=everything, last=last or int(latest))
    now = time.time()
    records = [listing.record(each, now, full=no_trunc) for each in wanted]
    if _WHOLE in fields:
        for each in records:
            del each["Label"]  # not a column of its own
    for line in shape.lines(records, listing.TITLES):
        output.line(line)
