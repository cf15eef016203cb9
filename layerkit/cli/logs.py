"""`layerkit logs`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from layerkit.cli import output
from layerkit.cli.completion import complete_containers
from layerkit.cli.units import parse_moment
from layerkit.errors import UsageError

if TYPE_CHECKING:
    from layerkit.cli.app import Settings

_TIME = "RFC 3339, seconds since 1970, or a duration such as 10m before now"


@click.command("logs")
@click.argument("container", shell_complete=complete_containers)
@click.option("-f", "--follow", is_flag=True, help="Go on until the container ends.")
@click.option("--since", metavar="TIME", help=f"Only what was written since then: {_TIME}.")
@click.option("--until", metavar="TIME", help="Only what was written until then.")
@click.option(
    "-n", "--tail", default="all", metavar="N", help="Only the last N lines (default: all)."
)
@click.option("-t", "--timestamps", is_flag=True, help="Put its time before each line.")
@click.pass_obj
def command(
    settings: Settings,
    *,
    container: str,
    follow: bool,
    since: str | None,
    until: str | None,
    tail: str,
    timestamps: bool,
) -> None:
    """Show what a container has written.

    What went to its stdout goes to stdout, and what went to its stderr to stderr.
    """
    from layerkit.ops.logs import LogOptions, logs  # noqa: PLC0415  not for --help

    options = LogOptions(
        since=_moment("--since", since),
        until=_moment("--until", until),
        tail=_lines(tail),
        timestamps=timestamps,
        follow=follow,
    )
    with settings.open_home() as home:
        for stream, data in logs(home, container, options):
            output.passed_on(stream, data)


def _moment(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    found = parse_moment(text, time.time_ns())
    if found is None:
        raise UsageError(f"invalid {option} {text!r}: wanted {_TIME}")
    return found


def _lines(text: str) -> int | None:
    """How many lines; None for all, as docker takes a negative number."""
    try:
        number = -1 if text == "all" else int(text)
    except ValueError:
        raise UsageError(f"invalid --tail {text!r}: wanted a number or all") from None
    return None if number < 0 else number
