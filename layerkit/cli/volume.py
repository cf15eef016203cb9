"""`layerkit volume`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from layerkit.cli import output, template, units
from layerkit.cli.completion import complete_volumes
from layerkit.cli.wishes.variables import labels as labels_of

if TYPE_CHECKING:
    from layerkit.cli.app import Settings
    from layerkit.ops.volumes import Volume

_TITLES = {
    "Driver": "DRIVER",
    "Name": "VOLUME NAME",
    "Labels": "LABELS",
    "Label": "LABEL",
    "Links": "LINKS",
    "Mountpoint": "MOUNTPOINT",
    "Scope": "SCOPE",
    "Size": "SIZE",
}
_TABLE = r"{{.Driver}}\t{{.Name}}"
_WHOLE = template.Field((), as_json=True)
_UNKNOWN = "N/A"
_DRIVER = "local"
_ASKED = {
    False: "This will remove the volumes without a name that no container uses.",
    True: "This will remove all volumes that no container uses.",
}

_names = click.argument(
    "names", metavar="VOLUME...", nargs=-1, required=True, shell_complete=complete_volumes
)


@click.group("volume")
def command() -> None:
    """Make, list and remove volumes.

    A volume is a folder that containers share and that outlives them. One without a name goes with
    the container it was made for, with `run --rm` and `rm -v`.
    """


@command.command("create")
@click.argument("name", required=False, default="")
@click.option("--label", "texts", multiple=True, metavar="KEY[=VALUE]", help="Set a label.")
@click.pass_obj
def create(settings: Settings, *, name: str, texts: tuple[str, ...]) -> None:
    """Make a volume and print its name; one that is there stays as it is."""
    from layerkit.ops import volumes  # noqa: PLC0415  not for --help

    labels = dict(labels_of(texts, ()))
    with settings.open_home() as home:
        output.line(volumes.create(home, name, labels).name)


@command.command("ls")
@click.option("-q", "--quiet", is_flag=True, help="Print only the names.")
@click.option(
    "-f",
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="dangling=, name=, label= or driver=.",
)
@click.option("--format", "text", metavar="FORMAT", help="json, table, or a Go template.")
@click.pass_obj
def list_(settings: Settings, *, quiet: bool, filters: tuple[str, ...], text: str | None) -> None:
    """List volumes."""
    from layerkit.ops import volume_filters, volumes  # noqa: PLC0415  not for --help

    usual = "{{.Name}}" if quiet else _TABLE
    shape = template.parse(text or ("{{.Name}}" if quiet else "table"), usual)
    fields = [part for part in shape.template.parts if isinstance(part, template.Field)]
    measured = any(field.path[:1] == ("Size",) for field in fields)
    with settings.open_home() as home:
        used = volumes.users(home)
        fits = volume_filters.listed(filters, used)
        found = [each for each in volumes.list_volumes(home) if fits(each)]
        records = [_record(each, len(used.get(each.name, ())), measured=measured) for each in found]
    if _WHOLE in fields:
        for each in records:
            del each["Label"]  # not a column of its own
    for line in shape.lines(records, _TITLES):
        output.line(line)


def _record(volume: Volume, links: int, *, measured: bool) -> dict[str, Any]:
    """The fields under docker's names; `Label` is a map."""
    return {
        "Driver": _DRIVER,
        "Label": dict(volume.labels),
        "Labels": ",".join(f"{key}={value}" for key, value in volume.labels),
        "Links": links,
        "Mountpoint": os.fspath(volume.data),
        "Name": volume.name,
        "Scope": _DRIVER,
        "Size": units.human_size(volume.size()) if measured else _UNKNOWN,
    }


@command.command("inspect")
@_names
@click.option("-f", "--format", "text", metavar="FORMAT", help="json, or a Go template.")
@click.pass_obj
def inspect(settings: Settings, *, names: tuple[str, ...], text: str | None) -> int:
    """Show what is known about volumes."""
    from layerkit.ops import volumes  # noqa: PLC0415  not for --help

    shape = template.parse(text) if text else None
    found: list[dict[str, Any]] = []

    with settings.open_home() as home:

        def show(name: str) -> None:
            found.append(_details(volumes.find(home, name)))
            if shape is not None:
                output.line(shape.template.render(found[-1]))

        code = output.each(names, show, debug=settings.debug)
    if shape is None:
        output.line(template.as_json(found, indent=4))
    return code


def _details(volume: Volume) -> dict[str, Any]:
    """As `docker volume inspect` has it."""
    return {
        "CreatedAt": units.rfc3339(datetime.fromtimestamp(volume.created, UTC).isoformat()),
        "Driver": _DRIVER,
        "Labels": dict(volume.labels) or None,
        "Mountpoint": os.fspath(volume.data),
        "Name": volume.name,
        "Options": None,
        "Scope": _DRIVER,
    }


@command.command("rm")
@_names
@click.option("-f", "--force", is_flag=True, help="A volume that is not there is no error.")
@click.pass_obj
def remove(settings: Settings, *, names: tuple[str, ...], force: bool) -> int:
    """Remove volumes that no container uses, with all in them."""
    from layerkit.errors import NotFoundError  # noqa: PLC0415  not for --help
    from layerkit.ops import volumes  # noqa: PLC0415  as above

    with settings.open_home(for_all_ids=True) as home:

        def remove_one(name: str) -> None:
            try:
                volumes.remove(home, name)
            except NotFoundError:
                if not force:
                    raise
            output.line(name)

        return output.each(names, remove_one, debug=settings.debug)


@command.command("prune")
@click.option("-a", "--all", "everything", is_flag=True, help="Also those with a name.")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@click.option("--filter", "filters", multiple=True, metavar="KEY=VALUE", help="label= or label!=.")
@click.pass_obj
def prune(settings: Settings, *, everything: bool, force: bool, filters: tuple[str, ...]) -> None:
    """Remove the volumes without a name that no container uses."""
    from layerkit.ops import volume_filters, volumes  # noqa: PLC0415  not for --help

    goes = volume_filters.pruned(filters, everything=everything)
    going: dict[str, int] = {}
    if force or _is_agreed(_ASKED[everything]):
        with settings.open_home(for_all_ids=True) as home:
            going = volumes.remove_unused(home, goes)
    if going:
        output.line("Deleted Volumes:")
        for name in going:
            output.line(name)
        output.line("")
    output.line(f"Total reclaimed space: {units.human_size(sum(going.values()))}")


def _is_agreed(what: str) -> bool:
    """Whether the user agrees; nobody there to be asked does not."""
    output.aside(f"WARNING! {what}")
    try:
        return click.confirm("Are you sure you want to continue?", err=True)
    except click.Abort:
        output.aside("")
        return False
