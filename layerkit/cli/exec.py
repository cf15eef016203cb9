"""`layerkit exec`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from layerkit.cli.attaching import manners, stdio
from layerkit.cli.completion import complete_containers
from layerkit.cli.wishes.variables import variables

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("exec", context_settings={"allow_interspersed_args": False})
@click.argument("container", shell_complete=complete_containers)
@click.argument(
    "command_line", metavar="COMMAND [ARG...]", nargs=-1, required=True, type=click.UNPROCESSED
)
@click.option("-i", "--interactive", is_flag=True, help="Give the command our standard input.")
@click.option("-t", "--tty", is_flag=True, help="Give the command a terminal.")
@click.option("-d", "--detach", is_flag=True, help="Leave the command running.")
@click.option(
    "-e", "--env", multiple=True, metavar="KEY[=VALUE]", help="Set a variable, or pass ours on."
)
@click.option("--env-file", multiple=True, metavar="FILE", help="Set the variables of a file.")
@click.option("-u", "--user", metavar="USER[:GROUP]", help="Name or number to run as.")
@click.option("-w", "--workdir", metavar="DIR", help="Working directory of the command.")
@click.option("--privileged", is_flag=True, help="Give the command all capabilities.")
@click.option("--detach-keys", "keys", metavar="KEYS", help="Keys that leave the command running.")
@click.pass_obj
def command(  # noqa: PLR0913  docker exec has these options
    settings: Settings,
    *,
    container: str,
    command_line: tuple[str, ...],
    interactive: bool,
    tty: bool,
    detach: bool,
    env: tuple[str, ...],
    env_file: tuple[str, ...],
    user: str | None,
    workdir: str | None,
    privileged: bool,
    keys: str | None,
) -> int:
    """Run a command in a container that runs.

    The exit code is that of the command.
    """
    from layerkit.ops import containers  # noqa: PLC0415  not for --help
    from layerkit.ops import exec as ops  # noqa: PLC0415  as above

    wishes = ops.ExecWishes(
        command=command_line,
        env=variables(env, env_file),
        user=user,
        workdir=workdir,
        tty=tty,
        privileged=privileged,
    )
    with settings.open_home() as home:
        found = containers.find_container(home, container)
        if detach:
            ops.execute_detached(home, found, wishes)
            return 0
        streams = stdio(wants_input=interactive)
        polite = manners(keys, tty=tty, proxy=False)
        return ops.execute(home, found, wishes, streams, polite).shell_code
