"""Bytes on their way to a descriptor."""

from __future__ import annotations

import os
import select
import signal

import pytest

from layerkit.sandbox.relay import CHUNK, Sink


@pytest.fixture
def pipe():
    """A pipe's ends; the writing one blocks."""
    reading, writing = os.pipe()
    yield reading, writing
    for each in (reading, writing):
        try:
            os.close(each)
        except OSError:
            continue


def fill(descriptor):
    """Write until there is no room; how much that was."""
    os.set_blocking(descriptor, False)
    count = 0
    try:
        while True:
            count += os.write(descriptor, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(descriptor, True)
        return count


def drain(descriptor, count):
    """Read so many bytes."""
    data = b""
    while len(data) < count:
        data += os.read(descriptor, count - len(data))
    return data


def test_what_there_is_room_for_is_written_at_once(pipe):
    """A descriptor that does not block holds nothing while there is room."""
    reading, writing = pipe
    os.set_blocking(writing, False)
    sink = Sink(writing)

    sink.put(b"abc")

    assert (sink.holding, os.read(reading, 9)) == (False, b"abc")


def test_a_blocking_descriptor_is_not_touched_before_there_is_room(pipe):
    """Other people's descriptors block; a full one is asked first, and nobody waits."""
    reading, writing = pipe
    count = fill(writing)
    sink = Sink(writing)

    sink.put(b"abc")

    assert (sink.holding, os.get_blocking(writing)) == (True, True)
    drain(reading, count)
    sink.flush()
    assert (sink.holding, os.read(reading, 9)) == (False, b"abc")


def test_a_blocking_pipe_gets_what_it_promises_room_for(pipe):
    """A write after poll said that there is room never blocks, however much is held."""
    reading, writing = pipe
    count = fill(writing)
    sink = Sink(writing)
    data = os.urandom(CHUNK)
    sink.put(data)
    drain(reading, select.PIPE_BUF)
    came = b""

    while sink.holding:  # a write that blocked would end the test by its time limit
        poller = select.poll()
        poller.register(writing, select.POLLOUT)
        if poller.poll(0):
            sink.flush()
        else:
            came += os.read(reading, select.PIPE_BUF)

    came += drain(reading, count - select.PIPE_BUF + CHUNK - len(came))
    assert came[-CHUNK:] == data


def test_the_rest_is_held(pipe):
    """What a descriptor that does not block has no room for waits, in order."""
    reading, writing = pipe
    count = fill(writing)
    drain(reading, 8192)
    os.set_blocking(writing, False)
    sink = Sink(writing)
    data = os.urandom(CHUNK)

    sink.put(data)

    assert sink.holding
    came = drain(reading, count)
    while sink.holding:
        sink.flush()
        came += os.read(reading, CHUNK)
    assert came[-CHUNK:] == data


def test_nobody_reads_any_more(pipe):
    """It is told, and what is put from then on is lost without an error."""
    reading, writing = pipe
    os.close(reading)
    before = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        sink = Sink(writing)
        sink.put(b"abc")
        sink.flush()
        assert (sink.broken, sink.holding) == (True, False)
        sink.put(b"more")
        assert not sink.holding
    finally:
        signal.signal(signal.SIGPIPE, before)


def test_a_full_disk_is_as_nobody_who_reads():
    """The writer shall notice, so what it writes is refused from then on."""
    with open("/dev/full", "wb", buffering=0) as full:
        sink = Sink(full.fileno())
        sink.put(b"abc")
        sink.flush()

        assert (sink.broken, sink.holding) == (True, False)


def test_a_file_takes_all(tmp_path):
    """A regular file has room for any amount."""
    data = os.urandom(CHUNK)
    with open(tmp_path / "out", "wb", buffering=0) as file:
        sink = Sink(file.fileno())
        sink.put(data)
        assert sink.holding
        sink.flush()
        assert not sink.holding

    assert (tmp_path / "out").read_bytes() == data
