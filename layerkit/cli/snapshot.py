"""`layerkit snapshot`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from layerkit.cli import output, template, units
from layerkit.cli.completion import complete_containers, complete_snapshots

if TYPE_CHECKING:
    from layerkit.cli.app import Settings
    from layerkit.ops.snapshots import Found

_TITLES = {
    "Snapshot": "SNAPSHOT",
    "ID": "SNAPSHOT ID",
    "Container": "CONTAINER",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
}
_TABLE = r"{{.Snapshot}}\t{{.ID}}\t{{.CreatedSince}}"
_SHOWN = 12  # digits of an id

_snapshot = click.argument("snapshot", metavar="CONTAINER@NAME", shell_complete=complete_snapshots)


@click.group("snapshot")
def command() -> None:
    """Keep states of containers, and go back to them.

    A snapshot freezes what a stopped container has changed so far, and is written CONTAINER@NAME.
    What each one costs grows with what changed, not with the image.
    """


@command.command("create")
@click.argument("container", shell_complete=complete_containers)
@click.argument("name")
@click.pass_obj
def create(settings: Settings, container: str, name: str) -> None:
    """Freeze what a container has changed, under a name."""
    from layerkit.ops import snapshots  # noqa: PLC0415  not for --help

    with settings.open_home(for_all_ids=True) as home:
        output.line(snapshots.create(home, container, name).name)


@command.command("ls")
@click.argument("container", required=False, shell_complete=complete_containers)
@click.option("-q", "--quiet", is_flag=True, help="Print only the names.")
@click.option("--format", "text", metavar="FORMAT", help="json, table, or a Go template.")
@click.pass_obj
def list_(settings: Settings, *, container: str | None, quiet: bool, text: str | None) -> None:
    """List the snapshots of a container, or of all."""
    from layerkit.ops import snapshots  # noqa: PLC0415  not for --help

    usual = "{{.Snapshot}}" if quiet else _TABLE
    shape = template.parse(text or ("{{.Snapshot}}" if quiet else "table"), usual)
    with settings.open_home(for_all_ids=True) as home:
        found = snapshots.list_snapshots(home, container)
    now = datetime.now(UTC)
    for line in shape.lines([_record(each, now) for each in found], _TITLES):
        output.line(line)


def _record(found: Found, now: datetime) -> dict[str, str]:
    created = datetime.fromtimestamp(found.snapshot.created, UTC).isoformat()
    return {
        "Snapshot": found.name,
        "ID": found.snapshot.id[:_SHOWN],
        "Container": found.container.name,
        "CreatedSince": units.ago(created, now),
        "CreatedAt": units.local_time(created),
    }


@command.command("rm")
@click.argument(
    "snapshots", metavar="CONTAINER@NAME...", nargs=-1, required=True,
    shell_complete=complete_snapshots,
)  # fmt: skip
@click.pass_obj
def remove(settings: Settings, snapshots: tuple[str, ...]) -> int:
    """Forget snapshots; what others stand on stays."""
    from layerkit.ops import snapshots as ops  # noqa: PLC0415  not for --help

    with settings.open_home(for_all_ids=True) as home:
        return output.each(
            snapshots, lambda each: output.line(ops.remove(home, each).name), debug=settings.debug
        )


@command.command("rollback")
@_snapshot
@click.pass_obj
def rollback(settings: Settings, snapshot: str) -> None:
    """Make a container what it was; what it changed since is lost."""
    from layerkit.ops import snapshots  # noqa: PLC0415  not for --help

    with settings.open_home(for_all_ids=True) as home:
        output.line(snapshots.rollback(home, snapshot).name)


@command.command("branch")
@_snapshot
@click.argument("name", metavar="NEWCONTAINER")
@click.pass_obj
def branch(settings: Settings, snapshot: str, name: str) -> None:
    """Make a new container of what one was; it prints its id."""
    from layerkit.ops import snapshots  # noqa: PLC0415  not for --help

    with settings.open_home(for_all_ids=True) as home:
        output.line(snapshots.branch(home, snapshot, name).id)
