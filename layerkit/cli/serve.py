"""`layerkit serve`."""

from __future__ import annotations

import signal
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from layerkit.cli import output, progress
from layerkit.cli.template import as_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from layerkit.cli.app import Settings
    from layerkit.ops.serve import Served

_SHOWN = 500
_ENDS = (signal.SIGINT, signal.SIGTERM)


def _plain(served: Served) -> None:
    target = served.target if len(served.target) <= _SHOWN else f"{served.target[:_SHOWN]}…"
    request = f'"{served.method} {target}"'
    cut = "" if served.sent == served.length else f" of {served.length}"
    problem = f" ({served.problem})" if served.problem else ""
    line = f"{served.client} {request} {served.status} {served.sent}{cut}{problem}"
    output.aside(output.printable(line))


def _json(served: Served) -> None:
    output.aside(as_json({"event": "request", **asdict(served)}))


def _none(_served: Served) -> None:
    """Say nothing."""


_LOGS: dict[str, Callable[[Served], None]] = {"plain": _plain, "json": _json, "none": _none}


@click.command("serve")
@click.option(
    "--addr",
    default="127.0.0.1:5000",
    show_default=True,
    metavar="HOST:PORT",
    help="Where to listen; port 0 takes a free one, no host every address of this machine.",
)
@click.pass_obj
def command(settings: Settings, addr: str) -> None:
    """Serve the images here as a read-only registry.

    docker, podman, skopeo and layerkit pull from it until Ctrl-C. centos:7 is at
    ADDR/library/centos:7. A line on stderr tells of every request.
    """
    from layerkit.ops import serve  # noqa: PLC0415  not for --help

    mode = "plain" if settings.progress == "auto" else settings.progress
    with (
        settings.open_home() as home,
        progress.start(mode) as shown,
        serve.listen(addr, shown) as listener,
    ):

        def ready() -> None:
            shown.line(f"Serving {output.printable(str(settings.root))} at {serve.url(listener)}")

        serve.serve(home, listener, _LOGS[mode], ready=ready, signals=_ENDS)
