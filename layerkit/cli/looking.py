"""What the commands that look into images and containers have in common."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from layerkit import platforms
from layerkit.cli import environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layerkit.cli.app import Settings
    from layerkit.events import Observer
    from layerkit.ops.look import Looker


platform_option = click.option(
    "--platform",
    metavar="OS/ARCH[/VARIANT]",
    help="The image for this platform and no other; of a registry's index, the one for it.",
)


def prepare(settings: Settings, names: Iterable[str]) -> None:
    """Let who is not root read all of the containers among the names; nothing may be drawn yet."""
    from layerkit.ops import namespace  # noqa: PLC0415  not for --help

    with settings.open_home() as home:
        namespace.enter_for(home, *names)


@contextlib.contextmanager
def open_looker(settings: Settings, observe: Observer, platform: str | None) -> Iterator[Looker]:
    """What finds images and containers, with this user's store and credentials.

    `platform` is what the user asks for, None for that of this machine.
    """
    from layerkit.ops.look import Looker  # noqa: PLC0415  not for --help

    wanted = platforms.parse(platform) if platform else environment.host_platform()
    with (
        settings.open_home() as home,
        Looker(
            home,
            connect=settings.client,
            platform=wanted,
            explicit_platform=platform is not None,
            observe=observe,
        ) as looker,
    ):
        yield looker
