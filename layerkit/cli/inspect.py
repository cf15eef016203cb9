"""`layerkit inspect`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from layerkit.cli import output, template
from layerkit.cli.completion import complete_both

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("inspect")
@click.argument("name", nargs=-1, required=True, shell_complete=complete_both)
@click.option(
    "--type", "kind", type=click.Choice(["image", "container"]), help="Look only among these."
)
@click.option("-f", "--format", "text", metavar="FORMAT", help="json, or a Go template.")
@click.pass_obj
def command(settings: Settings, name: tuple[str, ...], kind: Any, text: str | None) -> int:
    """Show what is known about images and containers.

    A name that both an image and a container have means the container.
    """
    from layerkit.ops.inspect import inspect  # noqa: PLC0415  not for --help

    shape = template.parse(text) if text else None
    found: list[dict[str, Any]] = []
    with settings.open_home() as home:

        def look(one: str) -> None:
            record = inspect(home, one, kind)
            found.append(record)
            if shape is not None:
                output.line(shape.template.render(record))

        code = output.each(name, look, debug=settings.debug)
    if shape is None:
        output.line(template.as_json(found, indent=4))
    return code
