"""Progress on stderr, as `--progress` asks: bars, plain lines, JSON lines, or nothing.

Operations call an observer from several threads at once; each one here lets in one at a time.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from layerkit.cli import environment, output
from layerkit.cli.template import as_json
from layerkit.cli.units import human_size
from layerkit.events import Event, LayerDone, LayerProgress, Notice, Phase, Resolved

if TYPE_CHECKING:
    from collections.abc import Callable

    from layerkit.digest import BlobDigest

_PLAIN_PAUSE = 10.0
_JSON_PAUSE = 0.2
_VERBS = {
    Phase.DOWNLOAD: "Downloading",
    Phase.INDEX: "Indexing",
    Phase.UPLOAD: "Pushing",
}


def start(mode: str) -> Progress:
    """The progress of one command in a mode of `--progress`, to be ended by `with`."""
    if mode == "auto":
        mode = "bars" if environment.animates(sys.stderr) else "plain"
    if mode == "bars":
        from layerkit.cli.bars import Bars  # noqa: PLC0415  loads what draws

        return Bars()
    return {"plain": Plain, "json": JsonLines, "none": Progress}[mode]()


class Progress:
    """An observer that shows notices only; the others add to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        """End it."""

    def __call__(self, event: Event) -> None:
        """Show one event."""
        with self._lock:
            self._show(event)

    def line(self, text: str, *, aside: bool = False) -> None:
        """Print a line beside the progress: on stdout, or with `aside` on stderr."""
        with self._lock:
            self._line(text, aside=aside)

    def _line(self, text: str, *, aside: bool) -> None:
        if aside:
            output.aside(text)
        else:
            output.line(text)
            output.flush()

    def _show(self, event: Event) -> None:
        if isinstance(event, Notice):
            output.notice(event.severity, event.text)


class _Throttle:
    """Lets the first and the last report of a layer's phase through, others after a pause."""

    def __init__(self, pause: float, clock: Callable[[], float]) -> None:
        self._pause = pause
        self._clock = clock
        self._last: dict[tuple[BlobDigest, Phase], float] = {}
        self._ended: set[tuple[BlobDigest, Phase]] = set()

    def passes(self, event: LayerProgress, *, ends: bool) -> bool:
        key = event.layer, event.phase
        now = self._clock()
        last = self._last.get(key)
        is_end = ends and event.done == event.total and key not in self._ended
        if last is not None and now - last < self._pause and not is_end:
            return False
        self._last[key] = now
        if is_end:
            self._ended.add(key)
        return True


class Plain(Progress):
    """One line for each layer and phase, and one now and then while it takes long."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._throttle = _Throttle(_PLAIN_PAUSE, clock)
        self._begun: set[tuple[BlobDigest, Phase]] = set()

    def _show(self, event: Event) -> None:
        if not isinstance(event, LayerProgress):
            super()._show(event)
        elif self._throttle.passes(event, ends=False):
            output.aside(f"{event.layer.short}: {_VERBS[event.phase]}{self._state(event)}")

    def _state(self, event: LayerProgress) -> str:
        key = event.layer, event.phase
        size = f" {human_size(event.total)}" if event.total else ""
        if key not in self._begun:
            self._begun.add(key)
            return size
        if event.total:
            return f" {event.done * 100 // event.total}% of{size}"
        return f" {human_size(event.done)}"


class JsonLines(Progress):
    """Every event as a JSON object in a line; of a layer's progress at most a few a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._throttle = _Throttle(_JSON_PAUSE, clock)

    def _show(self, event: Event) -> None:
        if not isinstance(event, LayerProgress) or self._throttle.passes(event, ends=True):
            output.aside(as_json(_document(event)))


def _document(event: Event) -> dict[str, Any]:
    match event:
        case Resolved():
            layers = [{"digest": str(digest), "size": size} for digest, size in event.layers]
            return {
                "event": "resolved",
                "name": event.name,
                "digest": str(event.digest),
                "layers": layers,
            }
        case LayerProgress():
            return {
                "event": "progress",
                "layer": str(event.layer),
                "phase": event.phase.value,
                "done": event.done,
                "total": event.total,
            }
        case LayerDone():
            source = {"source": event.source} if event.source else {}
            return {"event": "done", "layer": str(event.layer), "reused": event.reused, **source}
        case Notice():
            return {"event": "notice", "severity": event.severity, "text": event.text}
