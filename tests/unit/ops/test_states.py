"""What containers do, from what their monitors leave."""

from __future__ import annotations

import os

import pytest
from support import homes, tars
from support.processes import child, until

from layerkit.errors import ConflictError, StoreError
from layerkit.ops import containers, states
from layerkit.ops.states import ContainerState, Run
from layerkit.ports import Publication
from layerkit.store.files import Lock

pytestmark = pytest.mark.root
STARTED = Run(5.0)
RUNS = Run(5.0, pid=7, address="10.0.0.2", ports=(Publication(80, "tcp", 8080),))
ENDED = Run(5.0, pid=7, finished=6.0, exit_code=3, oom_killed=True)
FAILED = Run(5.0, finished=6.0, exit_code=127, error="no such program")


@pytest.fixture
def container(home, tmp_path):
    """A container that was never started."""
    layers = [tars.archive(tars.file("f"))]
    return homes.create(home, homes.load_layers(home, tmp_path / "layout", layers), name="box")


@pytest.fixture
def folder(home, container):
    """Its folder."""
    return containers.folder_of(home, container)


@pytest.mark.parametrize(
    ("run", "locked", "paused", "status"),
    [
        pytest.param(None, False, False, "created", id="new"),
        pytest.param(None, True, False, "created", id="locked by somebody else"),
        pytest.param(STARTED, True, False, "created", id="starting"),
        pytest.param(RUNS, True, False, "running", id="running"),
        pytest.param(RUNS, True, True, "paused", id="paused"),
        pytest.param(ENDED, True, False, "exited", id="ended, its monitor not yet"),
        pytest.param(ENDED, False, False, "exited", id="ended"),
        pytest.param(ENDED, False, True, "exited", id="ended while paused"),
        pytest.param(FAILED, False, False, "exited", id="never ran"),
    ],
)
def test_the_state_is_that_of_run_and_lock(home, container, folder, run, locked, paused, status):
    """It runs as long as its monitor holds the lock and has not written the end."""
    if run is not None:
        states.write(home, container, run)
    if paused:
        (folder / "paused").touch()
    lock = Lock(folder / "lock")
    if locked:
        lock.acquire()
    state = states.read(home, container)
    lock.release()

    assert state == ContainerState(status, None if status == "created" else run)
    assert state.is_running == (status in {"running", "paused"})
    assert state.pid == (7 if state.is_running else None)


@pytest.mark.parametrize("run", [STARTED, RUNS], ids=["starting", "running"])
def test_a_container_without_its_monitor_is_lost(home, container, folder, run):
    """RT-L07: nobody saw how it ended, so the code says so; the time is that of the last word."""
    states.write(home, container, run)
    os.utime(folder / "state.json", (9.0, 9.0))
    with Lock(folder / "lock"):
        pass

    state = states.read(home, container)

    assert (state.status, state.exit_code, state.finished) == ("exited", states.LOST, 9.0)
    assert not state.is_running


def test_a_start_while_somebody_looks_is_no_loss(home, container, folder, monkeypatch):
    """Lock and run are of one moment: who starts between two looks was not lost."""
    lock = Lock(folder / "lock")
    look = states._is_locked

    def start_meanwhile(path):
        is_locked = look(path)
        if lock.descriptor < 0:
            lock.acquire()
            states.write(home, container, STARTED)
        return is_locked

    monkeypatch.setattr(states, "_is_locked", start_meanwhile)

    assert states.read(home, container) == ContainerState("created")
    lock.release()


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "{}", '{"started": 1, "new": 2}'], ids=repr)
def test_a_damaged_state_is_an_error(home, container, folder, text):
    """What is there and cannot be read is named, not passed over."""
    (folder / "state.json").write_text(text)

    with pytest.raises(StoreError, match=r"cannot read container: .*/state\.json"):
        states.read(home, container)


def test_the_first_version_is_read(home, container, folder):
    """A container that ended before there were monitors has its code."""
    (folder / "state.json").write_text('{"started": 5.0, "finished": 6.0, "exit_code": 3}')

    state = states.read(home, container)

    assert (state.status, state.exit_code, state.started) == ("exited", 3, 5.0)


def test_who_has_the_lock_for_a_moment_is_waited_for(home, container, folder, monkeypatch):
    """A monitor that told the end, and is not gone yet, is no reason to refuse."""
    states.write(home, container, ENDED)
    held, wanted = folder / "held", folder / "wanted"

    def hold():
        with Lock(folder / "lock"):
            held.touch()
            until(wanted.exists)

    look = states.read

    def look_and_let_go(*what):
        wanted.touch()
        return look(*what)

    monkeypatch.setattr(states, "read", look_and_let_go)
    with child(hold):
        until(held.exists)
        lock = states.lock(home, container, "use")
    lock.release()


def test_who_runs_is_refused(home, container, folder):
    """The message says what could not be done, and to whom."""
    states.write(home, container, RUNS)
    with (
        Lock(folder / "lock"),
        pytest.raises(ConflictError, match="cannot use box: it is running") as caught,
    ):
        states.lock(home, container, "use", hint="wait")
    assert caught.value.hint == "wait"
