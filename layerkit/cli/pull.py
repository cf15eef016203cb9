"""`layerkit pull`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from layerkit import platforms
from layerkit import reference as references
from layerkit.cli import authfile, environment, output, progress
from layerkit.events import Event, LayerDone, Resolved

if TYPE_CHECKING:
    from collections.abc import Callable

    from layerkit.cli.app import Settings
    from layerkit.cli.progress import Progress
    from layerkit.oci import Platform
    from layerkit.ops.connect import Client
    from layerkit.ops.home import Home
    from layerkit.ops.pull import PullResult
    from layerkit.reference import Reference


@click.command("pull")
@click.argument("image", nargs=-1, required=True)
@click.option("-q", "--quiet", is_flag=True, help="Print only the name of what was pulled.")
@click.option(
    "--platform", metavar="OS/ARCH[/VARIANT]", help="Take the image for this platform, not ours."
)
@authfile.option
@click.pass_obj
def command(
    settings: Settings,
    *,
    image: tuple[str, ...],
    quiet: bool,
    platform: str | None,
) -> int:
    """Download images from a registry.

    What is here already is not downloaded again, and what a stopped pull left is used.
    """
    wanted = platforms.parse(platform) if platform else None
    mode = "none" if quiet else settings.progress
    with settings.open_home() as home, settings.client() as client:

        def pull_one(name: str) -> None:
            with progress.start(mode) as shown:
                say = _ignore if quiet else shown.line
                result = fetch(home, client, name, wanted, shown, say)
            output.line(result.name)

        return output.each(image, pull_one, debug=settings.debug)


def fetch(
    home: Home,
    client: Client,
    name: str,
    platform: Platform | None,
    shown: Progress,
    say: Callable[[str], None],
) -> PullResult:
    """Pull one image; `say` gets docker's lines about it, `shown` the progress.

    `platform` is None where nobody asked for one.
    """
    from layerkit.ops.pull import pull  # noqa: PLC0415  loads what speaks HTTP

    reference = references.parse(environment.full_name(name))

    def observe(event: Event) -> None:
        text = _docker_line(reference, event)
        if text:
            say(text)
        shown(event)

    result = pull(
        home,
        reference,
        client=client,
        platform=platform or environment.host_platform(),
        explicit_platform=platform is not None,
        observe=observe,
    )
    say(f"Digest: {result.target}")
    news = "Downloaded newer image" if result.updated else "Image is up to date"
    say(f"Status: {news} for {references.parse(result.name).familiar}")
    return result


def pull_missing(settings: Settings, home: Home, name: str) -> PullResult:
    """Pull an image that a container is wanted of; all that docker prints then is on stderr."""
    output.aside(f"Unable to find image '{references.parse(name).familiar}' locally")
    with settings.client() as client, progress.start(settings.progress) as shown:
        return fetch(home, client, name, None, shown, partial(shown.line, aside=True))


def _docker_line(reference: Reference, event: Event) -> str:
    match event:
        case Resolved():
            name = str(reference) if reference.digest else reference.tag
            return f"{name}: Pulling from {reference.repository}"
        case LayerDone():
            return f"{event.layer.short}: {'Already exists' if event.reused else 'Pull complete'}"
        case _:
            return ""


def _ignore(_text: str) -> None:
    """Say nothing."""
