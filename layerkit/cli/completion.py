"""`layerkit completion`, and the answers that its scripts ask for."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

import click

from layerkit.cli import environment, output

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from layerkit.ops.home import Home

_SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that completes layerkit's commands in a shell.

    For bash: source <(layerkit completion bash)
    """
    from layerkit.cli.shells import completer  # noqa: PLC0415  commands only name what completes them

    output.line(completer(ctx.find_root().command, shell).source())


def answer(group: click.Command, instruction: str) -> int:
    """Answer a script's question, `SHELL_complete`; the exit code."""
    shell, _, what = instruction.partition("_")
    if shell not in _SHELLS or what != "complete":
        return 1
    from layerkit.cli.shells import completer  # noqa: PLC0415  see above

    output.line(completer(group, shell).complete())
    return 0


def complete_images(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The names of the images here that begin so."""
    return _found(ctx, incomplete, _image_names)


def complete_containers(
    ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    """The names of the containers that begin so, and the ids, once something of one is typed."""
    return _found(ctx, incomplete, partial(_container_names, ids=bool(incomplete)))


def complete_snapshots(
    ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    """The snapshots that begin so."""
    return _found(ctx, incomplete, _snapshot_names)


def complete_volumes(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The volumes that begin so."""
    return _found(ctx, incomplete, _volume_names)


def complete_both(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The containers and images that begin so; only those of the kind that `--type` names.

    Snapshots are many and of little interest, so they come only when they are asked for.
    """
    finders = {
        "container": complete_containers,
        "image": complete_images,
        "snapshot": complete_snapshots,
    }
    kind = ctx.params.get("kind")
    chosen = [finders[kind]] if kind else [complete_containers, complete_images]
    return [name for finder in chosen for name in finder(ctx, parameter, incomplete)]


def _found(ctx: click.Context, incomplete: str, names: Callable[[Home], list[str]]) -> list[str]:
    with contextlib.suppress(Exception):  # a shell must not show an error for a Tab
        option = ctx.find_root().params.get("root")
        root = environment.state_root(option, environment.configuration().root)
        return [name for name in _names(root, names) if name.startswith(incomplete)]
    return []


def _names(root: Path, names: Callable[[Home], list[str]]) -> list[str]:
    if not (root / "store.db").exists():
        return []  # looking must not make a state directory
    from layerkit.ops.home import Home  # noqa: PLC0415  only here

    with Home(root) as home:
        return names(home)


def _image_names(home: Home) -> list[str]:
    from layerkit.ops.images import list_images  # noqa: PLC0415  only here

    rows = list_images(home, None)
    return [f"{row.repository}:{row.tag}" for row in rows if row.tag != "<none>"]


def _container_names(home: Home, *, ids: bool) -> list[str]:
    records = home.store.database.containers()
    return [*(each.name for each in records), *(each.id[:12] for each in records if ids)]


def _snapshot_names(home: Home) -> list[str]:
    from layerkit.ops.snapshots import list_snapshots  # noqa: PLC0415  only here

    return [each.name for each in list_snapshots(home)]


def _volume_names(home: Home) -> list[str]:
    from layerkit.ops.volumes import list_volumes  # noqa: PLC0415  only here

    return [each.name for each in list_volumes(home)]
