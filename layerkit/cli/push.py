"""`layerkit push`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from layerkit import platforms
from layerkit.cli import authfile, output, progress
from layerkit.cli.completion import complete_images
from layerkit.events import Event, LayerDone, Resolved

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerkit.cli.app import Settings
    from layerkit.reference import Reference


@click.command("push")
@click.argument("name", nargs=-1, required=True, shell_complete=complete_images)
@click.option("-q", "--quiet", is_flag=True, help="Print only the name of what was pushed.")
@click.option("-a", "--all-tags", is_flag=True, help="Push all tags of the repository.")
@click.option(
    "--platform", metavar="OS/ARCH[/VARIANT]", help="Push only an image for this platform."
)
@click.option(
    "--allow-nondistributable-artifacts",
    "with_foreign",
    is_flag=True,
    help="Push also layers that are marked as not to be distributed.",
)
@authfile.option
@click.pass_obj
def command(
    settings: Settings,
    *,
    name: tuple[str, ...],
    quiet: bool,
    all_tags: bool,
    platform: str | None,
    with_foreign: bool,
) -> int:
    """Upload images to a registry.

    They go as they were pulled or loaded, so digests stay. What the registry has is not sent again.
    """
    from layerkit.ops.push import choose, push  # noqa: PLC0415  loads what speaks HTTP

    wanted = platforms.parse(platform) if platform else None
    mode = "none" if quiet else settings.progress
    with settings.open_home() as home, settings.client() as client:

        def push_one(reference: Reference) -> None:
            with progress.start(mode) as shown:

                def observe(event: Event) -> None:
                    for line in () if quiet else _docker_lines(event):
                        shown.line(line)
                    shown(event)

                result = push(
                    home,
                    reference,
                    client=client,
                    platform=wanted,
                    with_foreign=with_foreign,
                    observe=observe,
                )
            line = f"{reference.tag}: digest: {result.digest} size: {result.size}"
            output.line(reference.canonical if quiet else line)

        def push_named(text: str) -> None:
            references = choose(home, text, all_tags=all_tags)
            if not quiet:
                for line in _introduction(text, references[0], all_tags=all_tags):
                    output.line(line)
            for reference in references:
                push_one(reference)

        return output.each(name, push_named, debug=settings.debug)


def _introduction(text: str, reference: Reference, *, all_tags: bool) -> Iterator[str]:
    """What docker says before it begins."""
    if not all_tags and ":" not in text.rpartition("/")[2]:
        yield f"Using default tag: {reference.tag}"
    yield f"The push refers to repository [{reference.registry}/{reference.repository}]"


def _docker_lines(event: Event) -> Iterator[str]:
    from layerkit.ops.push import AT_ONCE  # noqa: PLC0415  as above

    match event:
        case Resolved():
            for layer, _ in event.layers:
                yield f"{layer.short}: Preparing"
            for layer, _ in event.layers[AT_ONCE:]:
                yield f"{layer.short}: Waiting"
        case LayerDone(source=""):
            yield f"{event.layer.short}: {'Layer already exists' if event.reused else 'Pushed'}"
        case LayerDone():
            yield f"{event.layer.short}: Mounted from {event.source}"
