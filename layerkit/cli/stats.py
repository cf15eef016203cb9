"""`layerkit stats`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from layerkit.cli import environment, output, template, units
from layerkit.cli.completion import complete_containers

if TYPE_CHECKING:
    from layerkit.cli.app import Settings
    from layerkit.ops.stats import Usage

_TITLES = {
    "Container": "CONTAINER",
    "ID": "CONTAINER ID",
    "Name": "NAME",
    "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemPerc": "MEM %",
    "NetIO": "NET I/O",
    "BlockIO": "BLOCK I/O",
    "PIDs": "PIDS",
}
_TABLE = (
    r"{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}"
    r"\t{{.PIDs}}"
)
_PAUSE = 1.0
_ID_WIDTH = 12
_UNKNOWN = "--"
_HOME, _TO_LINE_END, _TO_SCREEN_END = "\x1b[H", "\x1b[K", "\x1b[J"


@click.command("stats")
@click.argument("container", metavar="[CONTAINER...]", nargs=-1, shell_complete=complete_containers)
@click.option("-a", "--all", "everything", is_flag=True, help="Show also those that do not run.")
@click.option("--no-stream", is_flag=True, help="Show them once, not again and again.")
@click.option("--no-trunc", is_flag=True, help="Print ids in full.")
@click.option("--format", "text", metavar="FORMAT", help="json, table, or a Go template.")
@click.pass_obj
def command(
    settings: Settings,
    *,
    container: tuple[str, ...],
    everything: bool,
    no_stream: bool,
    no_trunc: bool,
    text: str | None,
) -> None:
    """Show what containers use.

    Once a second, until Ctrl-C; without a name, all that run.
    """
    from layerkit.ops.stats import Meter  # noqa: PLC0415  not for --help

    shape = template.parse(text or "table", _TABLE)
    shape.template.check(_TITLES)
    with settings.open_home() as home:
        meter = Meter(home, container, everything=everything)
        meter.look()  # what processors do is seen from the second look on
        while True:
            time.sleep(_PAUSE)
            records = [_record(each, full=no_trunc) for each in meter.look()]
            _show(shape.lines(records, _TITLES), again=not no_stream)
            if no_stream:
                return


def _show(lines: list[str], *, again: bool) -> None:
    """Print the lines; on a terminal over the last ones, if there will be some."""
    is_drawn = again and environment.animates(sys.stdout)
    ending = _TO_LINE_END if is_drawn else ""
    for number, line in enumerate(lines):
        output.line(f"{_HOME if is_drawn and number == 0 else ''}{line}{ending}")
    if is_drawn:
        output.raw(_TO_SCREEN_END.encode())
    output.flush()


def _record(usage: Usage, *, full: bool) -> dict[str, Any]:
    """The columns under docker's names."""
    identifier = usage.id if full else usage.id[:_ID_WIDTH]
    return {
        "BlockIO": f"{_size(usage.read)} / {_size(usage.written)}",
        "CPUPerc": _percent(usage.cpu),
        "Container": identifier,
        "ID": identifier,
        "MemPerc": _percent(_share(usage.memory, usage.memory_limit)),
        "MemUsage": f"{_memory(usage.memory)} / {_memory(usage.memory_limit)}",
        "Name": usage.name,
        "NetIO": f"{_size(usage.received)} / {_size(usage.sent)}",
        "PIDs": _UNKNOWN if usage.pids is None else str(usage.pids),
    }


def _share(part: int | None, whole: int | None) -> float | None:
    if part is None or whole is None:
        return None
    return 100 * part / whole if whole else 0.0


def _percent(number: float | None) -> str:
    return _UNKNOWN if number is None else f"{number:.2f}%"


def _size(size: int | None) -> str:
    return _UNKNOWN if size is None else units.human_size(size)


def _memory(size: int | None) -> str:
    return _UNKNOWN if size is None else units.binary_size(size)
