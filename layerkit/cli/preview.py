"""What `layerkit pull --dry-run` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from layerkit import reference as references
from layerkit.cli import environment, output, progress, template
from layerkit.cli.units import human_size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from layerkit.cli.app import Settings
    from layerkit.oci import Platform
    from layerkit.ops.connect import Client
    from layerkit.ops.preview import LayerPreview, Needs, Preview

_TITLES = {
    "Image": "IMAGE",
    "Digest": "DIGEST",
    "DiffID": "DIFF ID",
    "Layer": "LAYER",
    "Size": "SIZE",
    "Here": "HERE",
    "Missing": "TO FETCH",
    "Unpacked": "UNPACKED",
    "Status": "STATUS",
}
_TABLE = r"{{.Layer}}\t{{.Size}}\t{{.Here}}\t{{.Missing}}\t{{.Unpacked}}\t{{.Status}}"


def show(
    settings: Settings,
    client: Client,
    names: Iterable[str],
    platform: Platform | None,
    text: str | None,
) -> int:
    """Print what pulls of these images would do; the exit code of the first that could not."""
    from layerkit.ops import preview as ops  # noqa: PLC0415  loads what speaks HTTP

    shape = template.parse(text or "table", _TABLE)
    shape.template.check(_TITLES)
    previews: list[Preview] = []

    def look(name: str) -> None:
        with progress.start(settings.progress) as shown:
            found = ops.preview(
                settings.root,
                references.parse(environment.full_name(name)),
                client=client,
                platform=platform or environment.host_platform(),
                explicit_platform=platform is not None,
                observe=shown,
            )
        previews.append(found)
        if text is None:
            output.line(f"{found.name} ({found.platform}), {found.target}")
        records = [_record(found, each, exact=not shape.is_table) for each in found.layers]
        for line in shape.lines(records, _TITLES):
            output.line(line)
        if text is None:
            output.line("")

    code = output.each(names, look, debug=settings.debug)
    if text is None and previews:
        for line in _totals(ops.needs(settings.root, previews)):
            output.line(line)
    return code


def _record(found: Preview, layer: LayerPreview, *, exact: bool) -> dict[str, Any]:
    sizes = {
        "Size": layer.size,
        "Here": layer.here,
        "Missing": layer.missing,
        "Unpacked": layer.unpacked,
    }
    return {
        "Image": found.name,
        "Digest": str(layer.blob),
        "DiffID": str(layer.diff_id),
        "Layer": layer.blob.short,
        **{name: size if exact else _text(size) for name, size in sizes.items()},
        "Status": _status(layer),
    }


def _text(size: int | None) -> str:
    return "?" if size is None else human_size(size)


def _status(layer: LayerPreview) -> str:
    if not layer.missing:
        return "Already exists"
    return "Partly here" if layer.here else "Not here"


def _totals(needs: Needs) -> list[str]:
    wanted = human_size(needs.missing + needs.unpacked)
    if needs.unknown:
        wanted += f", and {_layers(needs.unknown)} unpacked, of a size that is not known before"
    return [
        f"To fetch: {human_size(needs.missing)} in {_layers(needs.missing_layers)}",
        f"Already here: {human_size(needs.finished)}",
        f"Left by stopped pulls: {human_size(needs.partial)}",
        f"Disk needed: {wanted}",
        f"Disk free: {human_size(needs.free)}",
    ]


def _layers(count: int) -> str:
    return "1 layer" if count == 1 else f"{count} layers"
