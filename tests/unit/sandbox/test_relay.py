"""Pumps between descriptors."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import socket

import pytest

from layerkit.sandbox.relay import CHUNK, Pump


@pytest.fixture
def ends():
    """Notes each call of a pump's end."""
    return []


@pytest.fixture
def pipes():
    """Two pipes as (read, write) pairs, closed afterwards where they still are open."""
    pairs = [os.pipe(), os.pipe()]
    yield pairs
    for descriptor in (end for pair in pairs for end in pair):
        try:
            os.close(descriptor)
        except OSError:
            continue


def close(pipes, pair, end):
    """Close one end of one of the pipes, and keep its number from being used again."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, pipes[pair][end])
    os.close(null)


def turn(pump):
    """Let the pump do one thing, if one is possible at once; whether it was."""
    descriptor, event = pump.wanted()
    poller = select.poll()
    poller.register(descriptor, event)
    ready = dict(poller.poll(0))
    pump.move(ready.get(descriptor, 0))
    return bool(ready)


def test_bytes_come_out_as_they_went_in(pipes, ends):
    """What is read is written, then the pump waits for more."""
    (source, feed), (out, sink) = pipes
    pump = Pump(source, sink, lambda: ends.append(1))
    os.write(feed, b"abc")

    assert turn(pump)
    assert pump.holding
    assert turn(pump)
    assert os.read(out, 10) == b"abc"
    assert not pump.holding
    assert not turn(pump)
    assert (pump.over, ends) == (False, [])


def test_the_end_of_the_source_is_the_end(pipes, ends):
    """At end of file the pump ends, once."""
    (source, _), (_, sink) = pipes
    close(pipes, 0, 1)
    pump = Pump(source, sink, lambda: ends.append(1))

    turn(pump)
    pump.end()

    assert (pump.over, ends) == (True, [1])


def test_a_sink_that_nobody_reads_is_the_end(pipes, ends):
    """When the reader has gone, the pump ends, so the writer can notice."""
    (source, feed), (_, sink) = pipes
    pump = Pump(source, sink, lambda: ends.append(1))
    os.write(feed, b"abc")
    turn(pump)
    close(pipes, 1, 0)

    turn(pump)

    assert (pump.over, ends) == (True, [1])


def test_a_full_sink_is_waited_for(pipes, ends):
    """No byte is read while there is no room for it, and a blocking sink never blocks the pump."""
    (source, feed), (out, sink) = pipes
    os.set_blocking(feed, False)
    pump = Pump(source, sink, lambda: ends.append(1))
    data = bytes(range(256)) * (CHUNK // 256)
    sent = 0
    for _ in range(1000):
        with contextlib.suppress(BlockingIOError):
            sent += os.write(feed, data)
        if not turn(pump):
            break
    else:
        pytest.fail("the pump never waits")

    assert pump.holding
    assert pump.wanted() == (sink, select.POLLOUT)
    assert sent > CHUNK
    assert os.read(out, CHUNK) == data


def test_a_readiness_of_somebody_else_is_not_the_pumps(pipes):
    """A descriptor that is ready for another event only is not touched."""
    (source, feed), (_, sink) = pipes
    os.write(feed, b"abc")
    pump = Pump(source, sink, lambda: None)

    pump.move(select.POLLOUT)

    assert not pump.holding


def test_a_terminal_that_nobody_has_open_may_come_back():
    """EIO of a master is a rest when the source may return, and the end otherwise."""
    master, slave = pty.openpty()
    os.close(slave)
    left, right = socket.socketpair()
    with left, right:
        patient = Pump(master, left.fileno(), lambda: None, source_may_return=True)
        strict = Pump(master, left.fileno(), lambda: None)
        turn(patient)
        turn(strict)
    os.close(master)

    assert (patient.resting, patient.over) == (True, False)
    assert (strict.resting, strict.over) == (False, True)
