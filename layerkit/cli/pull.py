"""`layerkit pull`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from layerkit import platforms
from layerkit import reference as references
from layerkit.cli import authfile, environment, output, preview, progress
from layerkit.cli.units import parse_size
from layerkit.errors import UsageError
from layerkit.events import Event, LayerDone, Resolved

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
@click.option("-a", "--all-tags", is_flag=True, help="All images of the repository.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    metavar="N",
    help="Connections at a time, in all and to one registry; else 16, and 6 to one.",
)
@click.option(
    "--limit-rate",
    "rate",
    metavar="SIZE",
    help="Bytes a second, such as 500K or 2M, of all together.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print what would be fetched and what is here, with the disk needed; write nothing.",
)
@click.option(
    "--format", "text", metavar="FORMAT", help="With --dry-run: json, table, or a Go template."
)
@authfile.authority
@authfile.option
@click.pass_obj
def command(  # noqa: PLR0913  one for each option
    settings: Settings,
    *,
    image: tuple[str, ...],
    quiet: bool,
    platform: str | None,
    all_tags: bool,
    jobs: int | None,
    rate: str | None,
    dry_run: bool,
    text: str | None,
) -> int:
    """Download images from a registry.

    What is here already is not downloaded again, and what a stopped pull left is used. --dry-run
    goes with -a and --platform, not with -q, --jobs and --limit-rate, as it pulls nothing.
    """
    if dry_run:
        _refuse("does not go with --dry-run", **{"-q": quiet, "--jobs": jobs, "--limit-rate": rate})
        return _preview(settings, image, platform, text, all_tags=all_tags)
    _refuse("goes with --dry-run only", **{"--format": text})
    wanted = platforms.parse(platform) if platform else None
    speed = _speed(rate)
    mode = "none" if quiet else settings.progress
    with settings.open_home() as home, settings.client(jobs) as client:

        def pull_one(name: str) -> None:
            with progress.start(mode) as shown:
                say = _ignore if quiet else shown.line
                result = fetch(home, client, name, wanted, shown, say, speed)
            output.line(result.name)

        names = _names(client, image, all_tags=all_tags)
        return output.each(names, pull_one, debug=settings.debug)


def _refuse(why: str, **options: object) -> None:
    """Raise `UsageError` for the first option that was given."""
    for name, value in options.items():
        if value:
            raise UsageError(f"{name} {why}")


def _preview(
    settings: Settings,
    image: tuple[str, ...],
    platform: str | None,
    text: str | None,
    *,
    all_tags: bool,
) -> int:
    wanted = platforms.parse(platform) if platform else None
    with settings.client() as client:
        names = _names(client, image, all_tags=all_tags)
        return preview.show(settings, client, names, wanted, text)


def _names(client: Client, image: Sequence[str], *, all_tags: bool) -> Sequence[str]:
    return [tag for name in image for tag in _tags(client, name)] if all_tags else image


def _speed(text: str | None) -> int | None:
    if text is None:
        return None
    speed = parse_size(text)
    if not speed:
        raise UsageError(
            f"invalid --limit-rate {text!r}: wanted bytes a second, such as 500K or 2M"
        )
    return speed


def _tags(client: Client, name: str) -> list[str]:
    """The name of every image in a repository."""
    from layerkit.ops import tags  # noqa: PLC0415  only here

    reference = tags.repository(environment.full_name(name))
    return [f"{reference.familiar_repository}:{tag}" for tag in tags.tags(client, reference)]


def fetch(
    home: Home,
    client: Client,
    name: str,
    platform: Platform | None,
    shown: Progress,
    say: Callable[[str], None],
    speed: int | None = None,
) -> PullResult:
    """Pull one image; `say` gets docker's lines about it, `shown` the progress.

    `platform` and `speed`, in bytes a second, are None where nobody asked for one.
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
        rate=speed,
        observe=observe,
    )
    say(f"Digest: {result.target}")
    news = "Downloaded newer image" if result.updated else "Image is up to date"
    say(f"Status: {news} for {references.parse(result.name).familiar}")
    return result


def pull_missing(
    settings: Settings, home: Home, name: str, platform: Platform | None = None
) -> PullResult:
    """Pull an image that a container is wanted of; all that docker prints then is on stderr."""
    output.aside(f"Unable to find image '{references.parse(name).familiar}' locally")
    return pull_aside(settings, home, name, platform)


def pull_aside(
    settings: Settings, home: Home, name: str, platform: Platform | None = None
) -> PullResult:
    """Pull an image for a container, telling what docker tells on stderr."""
    with settings.client() as client, progress.start(settings.progress) as shown:
        return fetch(home, client, name, platform, shown, partial(shown.line, aside=True))


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
