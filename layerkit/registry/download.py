"""Blobs fetched in pieces on several connections, by threads that share one plan for each blob.

A connection belongs to a thread, never to a reader: nobody holds one while waiting for another.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from concurrent.futures import CancelledError
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, Self

from layerkit.errors import UnavailableError
from layerkit.registry import retry
from layerkit.registry.gate import Gate
from layerkit.registry.plan import Plan
from layerkit.registry.rate import RateLimit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from layerkit.oci import Descriptor
    from layerkit.reference import Reference
    from layerkit.registry.client import Client
    from layerkit.registry.plan import Piece
    from layerkit.registry.stream import BlobStream

_WAITS = 20
"""Pauses in a row that a registry may ask for."""
_TICKS = 8
"""Looks at the speed of a connection in the time that it may be slow."""
_LEAVING = 0.5
"""Seconds that threads get to end; one that still opens a connection is left to itself."""


class Writer(Protocol):
    """Takes the bytes of a blob one after another."""

    def write(self, chunk: bytes) -> int:
        """Take some; how many of them were not there before."""


class Sink(Protocol):
    """Where the bytes of one blob go; used by several threads."""

    def missing(self) -> list[tuple[int, int]]:
        """The spans that are not there."""

    def writer(self, offset: int) -> AbstractContextManager[Writer]:
        """Takes bytes from `offset` on."""

    def fail(self, error: BaseException) -> None:
        """What is missing will not come."""


class Transfer:
    """One blob on its way: the plan for it, and the streams that pieces of it come by."""

    def __init__(
        self,
        reference: Reference,
        descriptor: Descriptor,
        sink: Sink,
        plan: Plan,
        show: Callable[[], None],
    ) -> None:
        self.reference = reference
        self.descriptor = descriptor
        self.sink = sink
        self.plan = plan
        self.show = show
        self.streams: dict[Piece, BlobStream] = {}
        self.writing = 0
        self.is_over = False


class Downloader:
    """The threads that fetch blobs with one client; `rate` limits them to bytes per second."""

    def __init__(
        self,
        client: Client,
        *,
        rate: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._limits = client.limits
        self._clock = clock
        self._rate = None if rate is None else RateLimit(rate, clock)
        self._news = threading.Condition()
        self._stopped = threading.Event()
        self._transfers: list[Transfer] = []
        self._gates: dict[str, Gate] = {}
        self._threads: list[threading.Thread] = []
        self._idle = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End all transfers and threads."""
        if self._stopped.is_set():
            return
        with self._news:
            self._stopped.set()
            for transfer in list(self._transfers):
                self._end(transfer, CancelledError())
            self._news.notify_all()
        deadline = time.monotonic() + _LEAVING
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    @contextlib.contextmanager
    def transfer(
        self,
        reference: Reference,
        descriptor: Descriptor,
        sink: Sink,
        show: Callable[[], None],
        *,
        whole: bool = False,
    ) -> Iterator[Transfer]:
        """Fetch into `sink` what it misses, while the block runs; leaving it ends the transfer.

        `show` is called when something came, by any thread. `whole` asks for the blob in one piece.
        What goes wrong for good is told to the sink.
        """
        limits = replace(self._limits, ranged_from=descriptor.size + 1) if whole else self._limits
        plan = Plan(descriptor.size, sink.missing(), limits)
        transfer = Transfer(reference, descriptor, sink, plan, show)
        with self._news:
            self._transfers.append(transfer)
            self._gates.setdefault(reference.registry, Gate(self._limits))
            self._news.notify_all()
            self._staff()
        try:
            yield transfer
        finally:
            with self._news:
                self._end(transfer, CancelledError())
                self._news.wait_for(lambda: not transfer.writing)

    # -- the threads ----------------------------------------------------------------------------

    def _staff(self) -> None:
        """Have a thread for what may be asked now, and one that looks for slow connections."""
        if not self._threads:
            self._hire(self._watch)
        if not self._idle and len(self._threads) <= self._limits.jobs:
            self._hire(self._work)

    def _hire(self, work: Callable[[], None]) -> None:
        # Daemons: a thread that waits for a connection must not keep the program from ending.
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while job := self._next():
            transfer, piece = job
            try:
                self._fetch(transfer, piece)
            finally:
                with self._news:
                    transfer.streams.pop(piece, None)
                    self._gate(transfer).leave()
                    if transfer.plan.is_complete:
                        self._end(transfer)
                    self._news.notify_all()

    def _watch(self) -> None:
        while not self._stopped.wait(self._limits.slow_after / _TICKS):
            with self._news:
                for transfer in list(self._transfers):
                    for piece in transfer.plan.slow(self._clock()):
                        self._abort(transfer, piece)
                        self._news.notify_all()

    def _next(self) -> tuple[Transfer, Piece] | None:
        """The next piece that may be asked for, waiting for one; None at the end."""
        with self._news:
            while not self._stopped.is_set():
                now = self._clock()
                for transfer in self._transfers:
                    if job := self._job(transfer, now):
                        self._staff()
                        return job
                self._idle += 1
                self._news.wait(self._pause(now))
                self._idle -= 1
            return None

    def _job(self, transfer: Transfer, now: float) -> tuple[Transfer, Piece] | None:
        gate = self._gate(transfer)
        if not gate.enter(now):
            return None
        piece = transfer.plan.take(now)
        if piece is None:
            gate.leave()
            return None
        return transfer, piece

    def _pause(self, now: float) -> float | None:
        """Seconds until something that waits for a time may be asked for; None if nothing does."""
        times = [
            max(self._gate(transfer).wakes(), ready)
            for transfer in self._transfers
            if (ready := transfer.plan.wakes()) is not None
        ]
        return min((at - now for at in times if at > now), default=None)

    def _gate(self, transfer: Transfer) -> Gate:
        return self._gates[transfer.reference.registry]

    # -- one piece ------------------------------------------------------------------------------

    def _fetch(self, transfer: Transfer, piece: Piece) -> None:
        try:
            span = None if transfer.plan.is_whole(piece) else (piece.position, piece.end)
            with self._client.ask_blob(transfer.reference, transfer.descriptor, span) as stream:
                if self._begin(transfer, piece, stream):
                    self._pump(transfer, piece, stream)
        except UnavailableError as error:
            with self._news:
                self._broke(transfer, piece, error)
        except BaseException as error:  # noqa: BLE001  whoever follows the sink raises it
            with self._news:
                self._end(transfer, error)

    def _begin(self, transfer: Transfer, piece: Piece, stream: BlobStream) -> bool:
        """Whether the answer is still wanted; then whoever ends the transfer waits for us."""
        with self._news:
            if transfer.is_over or not transfer.plan.answered(piece, stream.offset, stream.end):
                return False
            for other in set(transfer.streams) - set(transfer.plan.running):
                self._abort(transfer, other)
            transfer.streams[piece] = stream
            transfer.writing += 1
            self._gate(transfer).served(self._clock())
            self._news.notify_all()  # the first answer lets others begin
            return True

    def _pump(self, transfer: Transfer, piece: Piece, stream: BlobStream) -> None:
        try:
            with transfer.sink.writer(stream.offset) as writer:
                for chunk in stream:
                    if piece.is_cut or transfer.is_over:
                        return
                    news = writer.write(chunk)
                    with self._news:
                        transfer.plan.advanced(piece, len(chunk), news)
                    transfer.show()
                    if self._rate is not None:
                        self._stopped.wait(self._rate.pause(len(chunk)))
            with self._news:
                transfer.plan.finished(piece, self._clock())
        finally:
            with self._news:
                transfer.writing -= 1
                self._news.notify_all()

    def _broke(self, transfer: Transfer, piece: Piece, error: UnavailableError) -> None:
        """Have the rest of a piece asked for again, unless that was done often enough."""
        if piece.is_cut or transfer.is_over:
            return
        now, asked = self._clock(), error.retry_after
        waits = asked is not None and piece.waits < _WAITS
        pause = retry.wait(
            0 if waits else piece.attempts + 1,
            asked,
            self._limits,
            random.random(),  # noqa: S311  no secret, only a spread
            attempts=self._limits.blob_attempts,
        )
        if pause is None:
            self._end(transfer, error)
            return
        if error.is_overload:
            self._client.close_idle()
            self._gate(transfer).overloaded(now, pause)
        transfer.plan.failed(piece, now + pause, waits=waits)

    def _end(self, transfer: Transfer, error: BaseException | None = None) -> None:
        """Nothing more is fetched of a blob; without an `error` all of it is here."""
        if transfer.is_over:
            return
        transfer.is_over = True
        self._transfers.remove(transfer)
        if error is not None:
            transfer.sink.fail(error)
        for piece in list(transfer.streams):
            self._abort(transfer, piece)
        self._news.notify_all()

    @staticmethod
    def _abort(transfer: Transfer, piece: Piece) -> None:
        if stream := transfer.streams.get(piece):
            stream.abort()
