"""The options `--authfile` and `--ca` of commands that talk to a registry."""

from __future__ import annotations

from pathlib import Path

import click


def _keep(ctx: click.Context, _parameter: click.Parameter, value: Path | None) -> None:
    if value is not None and not ctx.resilient_parsing:
        ctx.obj.authfile = value


option = click.option(
    "--authfile",
    type=click.Path(path_type=Path),
    metavar="FILE",
    expose_value=False,
    callback=_keep,
    help="File of credentials, instead of docker's and podman's.",
)
"""Decorates a command, which finds the file in the `authfile` of its settings."""


def _trust(ctx: click.Context, _parameter: click.Parameter, value: tuple[Path, ...]) -> None:
    if value and not ctx.resilient_parsing:
        ctx.obj.authorities = value


authority = click.option(
    "--ca",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    expose_value=False,
    callback=_trust,
    help="Trust this certificate authority, too.",
)
"""Decorates a command, which finds the files in the `authorities` of its settings."""
