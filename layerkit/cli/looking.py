"""What the commands that look into images and containers have in common."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from layerkit.cli import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerkit.cli.app import Settings
    from layerkit.events import Observer
    from layerkit.ops.look import Looker


@contextlib.contextmanager
def open_looker(settings: Settings, observe: Observer) -> Iterator[Looker]:
    """What finds images and containers, with this user's store, credentials and platform."""
    from layerkit.ops.look import Looker  # noqa: PLC0415  not for --help

    platform = environment.host_platform()
    with (
        settings.open_home() as home,
        Looker(home, connect=settings.client, platform=platform, observe=observe) as looker,
    ):
        yield looker
