"""`layerkit version`."""

from __future__ import annotations

from typing import Any

import click

from layerkit.cli import output, template


@click.command("version")
@click.option("-f", "--format", "text", metavar="FORMAT", help="json, or a Go template.")
def command(text: str | None) -> None:
    """Show the versions of layerkit and of what it runs on.

    Also which snapshot drivers work here, and why others do not.
    """
    from layerkit.ops.version import version  # noqa: PLC0415  not for --help

    facts = version()
    lines = template.parse(text).lines([facts]) if text else _describe(facts)
    for line in lines:
        output.line(line)


def _describe(facts: dict[str, Any]) -> list[str]:
    drivers = [
        f"  {driver['Name']}: {'works' if driver['Works'] else driver['Reason']}"
        for driver in facts["SnapshotDrivers"]
    ]
    return [
        f"layerkit {facts['Version']}, build {facts['GitCommit']}",
        f" Python: {facts['PythonVersion']}",
        f" Kernel: {facts['KernelVersion']}",
        f" OS/Arch: {facts['Os']}/{facts['Arch']}",
        " Snapshot drivers:",
        *drivers,
    ]
