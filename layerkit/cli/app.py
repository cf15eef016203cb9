"""The program's commands and global options; a command's module is loaded when it is called."""

from __future__ import annotations

import functools
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from layerkit import __version__
from layerkit.cli import environment, output
from layerkit.errors import UsageError

if TYPE_CHECKING:
    from layerkit.cli.configuration import Configuration
    from layerkit.ops.connect import Client
    from layerkit.ops.home import Home

NAME = "layerkit"
COMMANDS = {
    "login": "Log in to a registry",
    "logout": "Log out from a registry",
    "pull": "Download images from a registry",
    "push": "Upload images to a registry",
    "tags": "List the tags of a repository in a registry",
    "referrers": "List what is attached to an image in a registry",
    "images": "List images",
    "inspect": "Show what is known about images, containers and their snapshots",
    "history": "Show the history of an image",
    "layers": "Show the layers of an image, and what each one changes",
    "ls": "List a directory of an image or container",
    "cat": "Print files of images or containers",
    "tag": "Give an image one more name",
    "rmi": "Remove images",
    "df": "Show where the disk went",
    "prune": "Remove what stopped pulls and removed images left",
    "unpack": "Write the root file system of an image into a directory",
    "load": "Load images from an archive or an OCI layout directory",
    "save": "Save images to an archive or an OCI layout directory",
    "import": "Make an image of a root file system tar",
    "export": "Write the root file system of a container as a tar",
    "serve": "Serve the images here as a read-only registry",
    "run": "Create and run a new container from an image",
    "create": "Create a container from an image, to be started later",
    "start": "Start containers that do not run",
    "stop": "Ask containers to end, and kill those that do not",
    "restart": "Stop containers if they run, and start them",
    "kill": "Send a signal to the first process of containers",
    "pause": "Hold all processes of containers still",
    "unpause": "Let paused containers go on",
    "rename": "Give a container another name",
    "update": "Change the limits of containers",
    "wait": "Wait until containers have ended, and print their exit codes",
    "rm": "Remove containers, with what they changed",
    "attach": "Join our terminal or pipes to a container that runs",
    "exec": "Run a command in a container that runs",
    "ps": "List containers",
    "logs": "Show what a container has written",
    "cp": "Copy files between a container and this machine",
    "top": "List the processes of a container",
    "stats": "Show what containers use",
    "port": "Show the ports that a container publishes",
    "mount": "Mount the root of containers and images, and print where",
    "umount": "Unmount containers and images that were mounted",
    "diff": "Show what a container changed, or how OLD and NEW differ",
    "commit": "Make an image of what a container changed",
    "snapshot": "Keep states of containers, and go back to them",
    "volume": "Make, list and remove volumes",
    "version": "Show the versions of layerkit and of what it runs on",
    "completion": "Print the script that completes layerkit's commands in a shell",
}
"""Each command with its help; the module of the same name beside this one has it as `command`."""

DRIVERS = ("auto", "erofs", "overlay", "copy")
PROGRESS = ("auto", "plain", "json", "none")

FAILURE_CODES = {"cp": 1, "run": 125, "create": 125, "exec": 125}
"""Commands that end as docker's do: with one code, whatever it was that failed."""


class Settings:
    """The global options: as the command line says, else the environment, else the configuration.

    The configuration is read when something of it is asked for, which raises `UsageError`.
    """

    def __init__(
        self, root: Path | None, driver: str | None, progress: str | None, *, debug: bool
    ) -> None:
        self._root = root
        self._driver = driver
        self._progress = progress
        self.debug = debug
        self.authfile: Path | None = None
        """The file of credentials, where a command that talks to registries was given one."""
        self.authorities: tuple[Path, ...] = ()
        """The certificate authorities that it was given."""

    @functools.cached_property
    def configuration(self) -> Configuration:
        """What the configuration files say."""
        return environment.configuration()

    @functools.cached_property
    def root(self) -> Path:
        """The state directory; who becomes root of a user namespace later keeps it."""
        return environment.state_root(self._root, self.configuration.root)

    @property
    def driver(self) -> str:
        """One of `DRIVERS`."""
        return self._driver or self.configuration.driver or DRIVERS[0]

    @property
    def progress(self) -> str:
        """One of `PROGRESS`, the modes of `layerkit.cli.progress`."""
        return self._progress or self.configuration.progress or PROGRESS[0]

    def client(self, jobs: int | None = None) -> Client:
        """A client for registries, to be closed by `with`; as `environment.client`."""
        return environment.client(self.authfile, authorities=self.authorities, jobs=jobs)

    def open_home(self, *, for_all_ids: bool = False) -> Home:
        """The state directory, to be closed by `with`; raises `StoreError`.

        With `for_all_ids` a user who is not root can also read and remove what belongs to the
        subordinate ids of its containers, as far as that can be had (`ops.namespace`).
        """
        from layerkit.ops import namespace  # noqa: PLC0415  not for --help
        from layerkit.ops.home import Home  # noqa: PLC0415  as above

        home = Home(self.root, self.configuration.limits, self.driver)
        if for_all_ids:
            namespace.enter_if_possible(home)
        return home


class LazyGroup(click.Group):
    """The commands of `COMMANDS`, known by name and help without being loaded."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, loaded now."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"layerkit.cli.{cmd_name}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments name; raises `UsageError` for one that is not there."""
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            from difflib import get_close_matches  # noqa: PLC0415  only here

            similar = get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean: {NAME} {similar[0]}" if similar else f"see: {NAME} --help"
            raise UsageError(f"no such command: {args[0]}", hint=hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _print_version(ctx: click.Context, _parameter: click.Parameter, wanted: object) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from layerkit.ops.build import commit  # noqa: PLC0415  reading package metadata is slow

    output.line(f"{NAME} version {__version__}, build {commit()}")
    ctx.exit()


@click.group(
    NAME,
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"max_content_width": 100},
    help="Pull, keep, inspect, run and compare container images, without a daemon.",
)
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help=f"State directory (default: LAYERKIT_ROOT, else {environment.SYSTEM_ROOT} for root and "
    "the user's data directory for others).",
)
@click.option(
    "--driver",
    type=click.Choice(DRIVERS),
    help="How a container sees the layers of its image.",
)
@click.option(
    "--progress",
    type=click.Choice(PROGRESS),
    help="How progress is shown on stderr; auto draws bars on a terminal.",
)
@click.option("--debug", is_flag=True, help="Show where an error comes from.")
@click.option(
    "-v",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and exit.",
)
@click.pass_context
def group(
    ctx: click.Context,
    *,
    root: Path | None,
    driver: str | None,
    progress: str | None,
    debug: bool,
) -> None:
    """Keep the global options for the command; without a command, show the help."""
    ctx.obj = Settings(root, driver, progress, debug=debug)
    if ctx.invoked_subcommand is None:
        output.line(ctx.get_help())


def complete(instruction: str) -> int:
    """Answer a shell that asks how a command line goes on."""
    from layerkit.cli.completion import answer  # noqa: PLC0415  only here

    return answer(group, instruction)
