"""A registry is asked on fewer connections while it has too much to do."""

from __future__ import annotations

from layerkit.registry.gate import Gate
from layerkit.registry.limits import Limits

LIMITS = Limits(per_host=4, first_wait=1, relief=30)


def let_in(gate, now):
    """How many more connections may be opened now."""
    count = 0
    while gate.enter(now):
        count += 1
    return count


def leave(gate, count):
    """Close connections."""
    for _ in range(count):
        gate.leave()


def test_no_more_connections_than_allowed():
    """One that is closed makes room for another."""
    gate = Gate(LIMITS)

    assert let_in(gate, 0) == 4
    gate.leave()
    assert let_in(gate, 0) == 1


def test_an_overloaded_registry_gets_half_and_a_pause():
    """L05: answers to what was asked at the same time count once, and never is nobody let in."""
    gate = Gate(LIMITS)
    leave(gate, let_in(gate, 0))
    gate.overloaded(0, 3)
    gate.overloaded(1, 1)

    assert let_in(gate, 2.9) == 0
    assert gate.wakes() == 3
    leave(gate, let_in(gate, 3))
    for now in (10, 20, 30):
        gate.overloaded(now, 0)
    assert let_in(gate, 40) == 1


def test_a_calm_registry_gets_one_connection_more():
    """L05: after each time without trouble, up to the number at first."""
    gate = Gate(LIMITS)
    gate.overloaded(0, 0)
    allowed = []
    for now in (10, 31, 40, 70, 100, 200):
        gate.served(now)
        allowed.append(let_in(gate, now))
        leave(gate, allowed[-1])

    assert allowed == [2, 3, 3, 4, 4, 4]
