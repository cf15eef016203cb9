"""`layerkit inspect`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from layerkit import platforms
from layerkit import reference as references
from layerkit.cli import authfile, environment, output, progress, template
from layerkit.cli.completion import complete_both
from layerkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from layerkit.cli.app import Settings
    from layerkit.oci import Platform
    from layerkit.ops.connect import Client


@click.command("inspect")
@click.argument("name", nargs=-1, required=True, shell_complete=complete_both)
@click.option(
    "--type",
    "kind",
    type=click.Choice(["image", "container", "snapshot"]),
    help="Look only among these.",
)
@click.option("-f", "--format", "text", metavar="FORMAT", help="json, or a Go template.")
@click.option("--remote", is_flag=True, help="Look in the registry, without a pull.")
@click.option(
    "--platform", metavar="OS/ARCH[/VARIANT]", help="With --remote: of the image for this platform."
)
@click.option("--raw", is_flag=True, help="With --remote: print the manifest or index as it is.")
@click.option("--limits", is_flag=True, help="With --remote: print how many pulls are left.")
@authfile.option
@click.pass_obj
def command(  # noqa: PLR0913  one for each option
    settings: Settings,
    *,
    name: tuple[str, ...],
    kind: str | None,
    text: str | None,
    remote: bool,
    platform: str | None,
    raw: bool,
    limits: bool,
) -> int:
    """Show what is known about images, containers and their snapshots.

    A name that both an image and a container have means the container.
    """
    shape = template.parse(text) if text else None
    if remote:
        _check(kind=kind, raw=raw, limits=limits, text=text)
        view = _Remote(settings, platforms.parse(platform) if platform else None)
        with settings.client() as client:
            if raw:
                return output.each(name, partial(view.print_raw, client), debug=settings.debug)
            look = view.limits if limits else view.inspect
            return _print_each(settings, name, partial(look, client), shape)
    if platform or raw or limits:
        raise UsageError("--platform, --raw and --limits go with --remote")
    from layerkit.ops.inspect import inspect  # noqa: PLC0415  not for --help

    with settings.open_home() as home:
        return _print_each(settings, name, lambda one: inspect(home, one, kind), shape)


def _check(*, kind: str | None, raw: bool, limits: bool, text: str | None) -> None:
    if kind not in {None, "image"}:
        raise UsageError(f"--remote is about images, not {kind}s")
    if raw and (limits or text):
        raise UsageError("--raw goes with neither --limits nor --format")


class _Remote:
    """What can be asked about an image in a registry; None is the platform of this machine."""

    def __init__(self, settings: Settings, platform: Platform | None) -> None:
        self._mode = settings.progress
        self._platform = platform

    def inspect(self, client: Client, name: str) -> dict[str, Any]:
        """The image."""
        from layerkit.ops import inspect_remote as ops  # noqa: PLC0415  loads what speaks HTTP
        from layerkit.ops.notices import tell_warnings  # noqa: PLC0415  as above

        with progress.start(self._mode) as shown:
            found = ops.inspect_remote(
                client,
                references.parse(name),
                platform=self._platform or environment.host_platform(),
                explicit_platform=self._platform is not None,
                observe=shown,
            )
            tell_warnings(client, shown)
        return found

    def limits(self, client: Client, name: str) -> dict[str, Any]:
        """The rate limit."""
        from layerkit.ops import inspect_remote as ops  # noqa: PLC0415  loads what speaks HTTP

        return ops.rate_limit(client, references.parse(name))

    def print_raw(self, client: Client, name: str) -> None:
        """Print the document, byte for byte."""
        from layerkit.ops import inspect_remote as ops  # noqa: PLC0415  loads what speaks HTTP

        output.raw(ops.raw_manifest(client, references.parse(name), self._platform))


def _print_each(
    settings: Settings,
    names: Sequence[str],
    look: Callable[[str], dict[str, Any]],
    shape: template.Format | None,
) -> int:
    found: list[dict[str, Any]] = []

    def show(one: str) -> None:
        record = look(one)
        found.append(record)
        if shape is not None:
            output.line(shape.template.render(record))

    code = output.each(names, show, debug=settings.debug)
    if shape is None:
        output.line(template.as_json(found, indent=4))
    return code
