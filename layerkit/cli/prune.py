"""`layerkit prune`."""

from __future__ import annotations

import time
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

import click

from layerkit.cli import output, progress, units
from layerkit.errors import UsageError

if TYPE_CHECKING:
    from datetime import timedelta

    from layerkit.cli.app import Settings

_KIND = attrgetter("kind")


@click.command("prune")
@click.option("--dry-run", is_flag=True, help="Print what would go, and remove nothing.")
@click.option(
    "--until",
    metavar="DURATION",
    default="7d",
    show_default=True,
    help="Keep what changed within this time, such as 12h or 30d; 0 keeps nothing of it.",
)
@click.pass_obj
def command(settings: Settings, *, dry_run: bool, until: str) -> None:
    """Remove what stopped pulls and removed images left.

    Those are partial downloads, and layers, blobs and views that no image has. What a process is at
    stays, and temporary files stay for a day at least.
    """
    from layerkit.ops.prune import prune  # noqa: PLC0415  not for --help

    age = _age(until)
    with settings.open_home(for_all_ids=True) as home, progress.start(settings.progress) as shown:
        removed = prune(home, now=time.time(), older_than=age, dry_run=dry_run, observe=shown)
    for kind, items in groupby(sorted(removed, key=_KIND), key=_KIND):
        output.line(f"{'Would delete' if dry_run else 'Deleted'} {kind}s:")
        for each in items:
            output.line(each.name)
        output.line("")
    total = units.human_size(sum(each.size for each in removed))
    output.line(f"Total {'reclaimable' if dry_run else 'reclaimed'} space: {total}")


def _age(text: str) -> timedelta:
    age = units.parse_duration(text)
    if age is None:
        raise UsageError(f"invalid --until {text!r}: wanted a duration, such as 12h, 7d or 0")
    return age
