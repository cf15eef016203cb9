"""`layerkit diff`."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from layerkit.cli import changes, output
from layerkit.cli.completion import complete_both
from layerkit.errors import StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerkit.cli.app import Settings
    from layerkit.ops.diff import Comparison


@click.command("diff")
@click.argument(
    "side", nargs=-1, required=True, metavar="CONTAINER | OLD NEW", shell_complete=complete_both
)
@click.option("--why", is_flag=True, help="Say what differs: content, mode, owner, …")
@click.option("--size", is_flag=True, help="Say by how many bytes, and in all.")
@click.option("--hash", "hashes", is_flag=True, help="Say the sha256 digests of files.")
@click.option("--content", is_flag=True, help="Show changed text files line by line.")
@click.option("--format", "form", type=click.Choice(["json"]), help="One JSON object a line.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.html",
    help="Write a page to look at instead.",
)
@click.option("--exit-code", is_flag=True, help="End with 1 where there are differences.")
@click.pass_obj
def command(
    settings: Settings,
    /,
    *,
    side: tuple[str, ...],
    form: str | None,
    report: Path | None,
    exit_code: bool,
    **wanted: bool,
) -> int:
    """Show what a container changed, or how OLD and NEW differ.

    A line each: A added, C changed, D deleted, and the path. What layerkit itself puts into every
    container is not shown.

    OLD and NEW are containers, CONTAINER@SNAPSHOT, images, IMAGE#N (the first N layers), or
    directories: what begins with / or ./, or has a name that nothing else has.
    """
    from layerkit.ops import namespace  # noqa: PLC0415  not for --help
    from layerkit.ops.diff import diff  # noqa: PLC0415  as above

    if len(side) > 2:  # noqa: PLR2004  old and new
        raise UsageError(f"{len(side)} things to compare, wanted one container, or two")
    if report is not None and (form or any(wanted.values())):
        raise UsageError("--report has everything in it: it goes with no other form")
    if form and (wanted["why"] or wanted["size"] or wanted["content"]):
        raise UsageError("--format json has everything in it: only --hash goes with it")
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(settings.open_home())
        namespace.enter_for(home, *side)
        found = stack.enter_context(diff(home, *side))
        if report is not None:
            _write(report, found.page())
        elif form:
            _print_records(found, hashes=wanted["hashes"])
        else:
            for line in _lines(found, **wanted):
                output.line(line)
    return int(exit_code and bool(found.changes))


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"cannot write {path}: {(error.strerror or '').lower()}") from error


def _print_records(found: Comparison, *, hashes: bool) -> None:
    import json  # noqa: PLC0415  only for programs

    from layerkit.cli.records import record  # noqa: PLC0415  as above

    for each in found.changes:
        shown = record(each, found.digests(each) if hashes else None)
        output.line(json.dumps(shown, ensure_ascii=True))


def _lines(
    found: Comparison, *, why: bool, size: bool, hashes: bool, content: bool
) -> Iterator[str]:
    """A line for each change, what is wanted beside the path behind tabs."""
    for each in found.changes:
        columns = [f"{each.letter} {output.printable('/' + os.fsdecode(each.path))}"]
        columns += [changes.reasons(each)] if why else []
        columns += [changes.size(each)] if size else []
        columns += [changes.digests(*found.digests(each))] if hashes else []
        yield "\t".join(columns)
        if content:
            yield from map(output.printable, found.text(each) or ())
    if size:
        yield changes.totals(found.changes)
