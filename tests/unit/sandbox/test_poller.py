"""Waiting for descriptors."""

from __future__ import annotations

import os

import pytest

from layerkit.sandbox import poller
from layerkit.sandbox.poller import READ, WRITE


@pytest.fixture
def pipe():
    """A pipe's ends."""
    reading, writing = os.pipe()
    yield reading, writing
    for each in (reading, writing):
        try:
            os.close(each)
        except OSError:
            continue


def test_what_is_due_is_done(pipe):
    """Only what waits for an event that is there is called, once."""
    reading, writing = pipe
    calls = []
    waiting = [
        (reading, READ, lambda: calls.append("read")),
        (writing, WRITE, lambda: calls.append("write")),
    ]

    assert poller.turn(waiting)
    os.write(writing, b"x")
    assert poller.turn(waiting)

    assert calls == ["write", "read", "write"]


def test_nothing_is_due(pipe):
    """Without patience nobody waits."""
    reading, _ = pipe

    assert not poller.turn([(reading, READ, pytest.fail)], patient=False)
    assert not poller.turn([], patient=False)


def test_two_may_wait_for_one_descriptor():
    """Each for an event of its own."""
    master, slave = os.openpty()
    calls = []
    waiting = [
        (master, READ, lambda: calls.append("read")),
        (master, WRITE, lambda: calls.append("write")),
    ]
    poller.turn(waiting)
    os.write(slave, b"x")
    poller.turn(waiting)
    os.close(master)
    os.close(slave)

    assert calls == ["write", "read", "write"]


def test_an_end_wakes_who_reads(pipe):
    """A pipe without writers is ready, though there is nothing to read."""
    reading, writing = pipe
    os.close(writing)
    calls = []

    poller.turn([(reading, READ, lambda: calls.append(os.read(reading, 1)))])

    assert calls == [b""]


def test_an_error_wakes_who_writes(pipe):
    """A pipe without readers is ready, though nothing could be written."""
    reading, writing = pipe
    os.close(reading)
    calls = []

    poller.turn([(writing, WRITE, lambda: calls.append("write"))])

    assert calls == ["write"]
