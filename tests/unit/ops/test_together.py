"""Work goes on side by side, in order, until one fails or nobody wants the rest."""

from __future__ import annotations

import threading

import pytest

from layerkit.ops.together import go_on, side_by_side


class Work:
    """Work that goes on until it is stopped, but for what `ends` says of a thing."""

    def __init__(self, ends):
        self.ends = ends
        self.begun = []
        self.stopped = []

    def __call__(self, thing, check):
        """The thing itself as the result."""
        self.begun.append(thing)
        while thing not in self.ends:
            try:
                check()
            except Exception:
                self.stopped.append(thing)
                raise
        if isinstance(self.ends[thing], Exception):
            raise self.ends[thing]
        return self.ends[thing]


def test_results_come_by_number():
    """However long each takes, a result belongs to its thing."""
    turn = [threading.Event() for _ in range(3)]

    def work(number, _check):
        if number < 2:
            assert turn[number + 1].wait(timeout=60)
        turn[number].set()
        return number * 10

    with side_by_side(work, range(3)) as result:
        assert [result(number) for number in (0, 1, 2)] == [0, 10, 20]


def test_leaving_the_block_stops_the_rest():
    """What is under way is told to stop, what has not begun never does."""
    work = Work({0: "first"})

    with side_by_side(work, range(6)) as result:
        assert result(0) == "first"

    assert set(work.stopped) == set(work.begun) - {0}
    assert not {4, 5} & set(work.begun)


@pytest.mark.parametrize("asked", range(5))
def test_one_failure_stops_all(asked):
    """Whichever result is asked for, it is the error that ended the work."""
    work = Work({1: ValueError("broken")})

    with pytest.raises(ValueError, match="broken"), side_by_side(work, range(5)) as result:
        result(asked)

    assert set(work.stopped) == set(work.begun) - {1}


def test_what_the_block_raises_stops_the_work():
    """An error of the caller ends the work, too, and stays the error."""
    work = Work({})

    with pytest.raises(KeyError), side_by_side(work, range(3)):
        raise KeyError

    assert set(work.stopped) == set(work.begun)


def test_nothing_to_do_is_no_error():
    """Without things nothing is begun."""
    with side_by_side(Work({}), []):
        go_on()
