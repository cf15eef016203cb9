"""`layerkit logout`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from layerkit.cli import authfile, environment, output

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("logout")
@click.argument("server", default="")
@authfile.option
@click.pass_obj
def command(settings: Settings, *, server: str) -> None:
    """Log out from a registry.

    Without SERVER it is Docker Hub. Forgets what `login` stored, in the file or its helper.
    """
    from layerkit.ops.login import registry_of  # noqa: PLC0415  not for --help
    from layerkit.ops.logout import logout  # noqa: PLC0415

    done = logout(registry_of(server), environment.login_file(settings.authfile))
    if done.existed:
        output.line(f"Removing login credentials for {done.key}")
    else:
        output.line(f"Not logged in to {done.key}")
