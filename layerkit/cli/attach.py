"""`layerkit attach`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from layerkit.cli.attaching import manners, stdio
from layerkit.cli.completion import complete_containers

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("attach")
@click.argument("container", shell_complete=complete_containers)
@click.option(
    "--detach-keys", "keys", metavar="KEYS", help="Keys that leave the container running."
)
@click.option("--no-stdin", is_flag=True, help="Do not give it our standard input.")
@click.option(
    "--sig-proxy/--no-sig-proxy",
    "proxy",
    default=True,
    help="Pass signals on to the command (the default without a terminal).",
)
@click.pass_obj
def command(
    settings: Settings, *, container: str, keys: str | None, no_stdin: bool, proxy: bool
) -> int:
    """Join our terminal or pipes to a container that runs."""
    from layerkit.ops import containers  # noqa: PLC0415  not for --help
    from layerkit.ops.attach import attach  # noqa: PLC0415  as above

    with settings.open_home() as home:
        found = containers.find_container(home, container)
        polite = manners(keys, tty=False, proxy=proxy)
        streams = stdio(wants_input=not no_stdin)
        return attach(home, found, streams, polite).shell_code
