"""`layerkit run`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from layerkit.cli import authfile, environment, output, progress
from layerkit.cli.completion import complete_images, complete_snapshots
from layerkit.cli.pull import pull_missing
from layerkit.errors import UsageError

if TYPE_CHECKING:
    from typing import Literal

    from layerkit.cli.app import Settings


@click.command("run", context_settings={"allow_interspersed_args": False})
@click.argument("image", required=False, shell_complete=complete_images)
@click.argument("command_line", metavar="[COMMAND] [ARG...]", nargs=-1, type=click.UNPROCESSED)
@click.option("-i", "--interactive", is_flag=True, help="Give the container our standard input.")
@click.option("-t", "--tty", is_flag=True, help="Give the container a terminal.")
@click.option("--rm", "remove", is_flag=True, help="Remove the container when it ends.")
@click.option("--name", metavar="NAME", help="Name of the container (default: a random one).")
@click.option(
    "-e", "--env", multiple=True, metavar="KEY[=VALUE]", help="Set a variable, or pass ours on."
)
@click.option("-w", "--workdir", metavar="DIR", help="Working directory of the command.")
@click.option("-u", "--user", metavar="USER[:GROUP]", help="Name or number to run as.")
@click.option("-h", "--hostname", metavar="NAME", help="Host name of the container.")
@click.option("--entrypoint", metavar="PROGRAM", help="Run this instead of the image's entrypoint.")
@click.option(
    "--network",
    type=click.Choice(["none", "host"]),
    default="none",
    help="A network of its own with loopback alone, or that of the host.",
)
@click.option(
    "--from",
    "snapshot",
    metavar="CONTAINER@SNAPSHOT",
    shell_complete=complete_snapshots,
    help="Start from this, not from an image.",
)
@authfile.option
@click.pass_obj
def command(  # noqa: PLR0913  docker run has these options
    settings: Settings,
    image: str | None,
    command_line: tuple[str, ...],
    *,
    interactive: bool,
    tty: bool,
    remove: bool,
    name: str | None,
    env: tuple[str, ...],
    workdir: str | None,
    user: str | None,
    hostname: str | None,
    entrypoint: str | None,
    network: Literal["none", "host"],
    snapshot: str | None,
) -> int:
    """Create and run a new container from an image.

    Needs root. The exit code is that of the command.
    """
    from layerkit.ops.run import RunOptions, Stdio, run  # noqa: PLC0415  not for --help

    image, command_line = _parted(image, command_line, snapshot)
    options = RunOptions(
        image=image,
        snapshot=snapshot,
        command=command_line,
        name=name,
        entrypoint=entrypoint,
        env=tuple(map(environment.passed_on, env)),
        workdir=workdir,
        user=user,
        hostname=hostname,
        tty=tty,
        remove=remove,
        network=network,
    )
    stdio = Stdio(sys.stdin.fileno() if interactive else None, 1, 2)
    # Bars and the container would draw over each other.
    mode = "none" if settings.progress == "auto" else settings.progress
    with settings.open_home() as home, progress.start(mode) as shown:
        return run(
            home,
            options,
            stdio=stdio,
            pull=lambda text: pull_missing(settings, home, text).image,
            explain=output.aside if settings.debug else None,
            observe=shown,
        ).shell_code


def _parted(
    image: str | None, words: tuple[str, ...], snapshot: str | None
) -> tuple[str, tuple[str, ...]]:
    """The image and the command: with a snapshot there is no image, and the command begins first."""
    if snapshot is not None:
        return "", words if image is None else (image, *words)
    if image is None:
        raise UsageError("missing argument 'IMAGE'", hint="see: layerkit run --help")
    return image, words
