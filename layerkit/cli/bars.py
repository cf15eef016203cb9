"""Progress as bars on a terminal: one per layer at work, and one for all of them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Display

from layerkit.cli.output import printable
from layerkit.cli.progress import Progress
from layerkit.events import Event, LayerDone, LayerProgress, Notice, Phase, Resolved

if TYPE_CHECKING:
    from layerkit.digest import BlobDigest


class Bars(Progress):
    """Draws while work goes on and leaves nothing behind but the lines printed meanwhile.

    The bar of a layer starts again with each phase; that of all counts transfers only, as a reused
    layer needs none.
    """

    def __init__(self, console: Console | None = None) -> None:
        super().__init__()
        self._display = Display(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console or Console(stderr=True),
            transient=True,
            redirect_stdout=False,  # the result may go to a pipe
            redirect_stderr=False,
        )
        self._sizes: dict[BlobDigest, int] = {}
        self._received: dict[BlobDigest, int] = {}
        self._bars: dict[tuple[BlobDigest, Phase], TaskID] = {}
        self._all: TaskID | None = None

    def __enter__(self) -> Self:
        self._display.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._display.stop()

    def _line(self, text: str, *, aside: bool) -> None:
        if aside or sys.stdout.isatty():
            self._above(text)
        else:
            super()._line(text, aside=aside)

    def _above(self, text: str) -> None:
        self._display.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _show(self, event: Event) -> None:
        match event:
            case Resolved():
                self._resolved(event)
            case LayerProgress():
                self._advance(event)
            case LayerDone():
                self._done(event)
            case Notice():
                self._above(f"{event.severity}: {printable(event.text)}")

    def _resolved(self, event: Resolved) -> None:
        """Begin anew: a command may bring in several images."""
        if self._all is not None:
            self._display.remove_task(self._all)
            self._all = None
        self._sizes = dict(event.layers)
        self._received = {}
        if len(self._sizes) > 1:
            self._all = self._display.add_task("total", total=sum(self._sizes.values()))

    def _advance(self, event: LayerProgress) -> None:
        key = event.layer, event.phase
        if key not in self._bars:
            self._drop(event.layer)
            name = f"{event.layer.short} {event.phase.value}"
            self._bars[key] = self._display.add_task(name, total=event.total or None)
        self._display.update(self._bars[key], completed=event.done)
        if event.phase in {Phase.DOWNLOAD, Phase.UPLOAD}:
            self._received[event.layer] = event.done
            self._show_all()

    def _done(self, event: LayerDone) -> None:
        self._drop(event.layer)
        if event.reused or event.source:
            self._sizes.pop(event.layer, None)
        else:
            self._received[event.layer] = self._sizes.get(event.layer, 0)
        self._show_all()

    def _show_all(self) -> None:
        if self._all is not None:
            received, total = sum(self._received.values()), sum(self._sizes.values())
            self._display.update(self._all, completed=received, total=total)

    def _drop(self, layer: BlobDigest) -> None:
        for phase in Phase:
            bar = self._bars.pop((layer, phase), None)
            if bar is not None:
                self._display.remove_task(bar)
