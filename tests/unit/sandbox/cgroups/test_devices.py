"""Which devices the rules allow, in both versions of control groups."""

from __future__ import annotations

import itertools

import pytest
from support import bpf

from layerkit.resources import DeviceRule
from layerkit.sandbox.cgroups import devices

ACCESS = ["".join(each) for n in (1, 2, 3) for each in itertools.combinations("rwm", n)]


def allowed(rules, kind, major, minor, access):
    """What the rules mean: one of them covers all that is wanted."""
    return any(
        rule.kind in {"a", kind}
        and rule.major in {None, major}
        and rule.minor in {None, minor}
        and set(access) <= set(rule.access)
        for rule in rules
    )


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param((), id="none"),
        pytest.param(devices.DEFAULT_RULES, id="default"),
        pytest.param(devices.EVERYTHING, id="privileged"),
        pytest.param((DeviceRule("b", None, None, "rwm"),), id="all-block-devices"),
        pytest.param((DeviceRule("c", 1, 3, "r"), DeviceRule("c", 1, 3, "w")), id="not-added-up"),
        pytest.param((DeviceRule("a", 8, 1, "rw"),), id="numbers-of-both-kinds"),
        pytest.param((DeviceRule("c", None, 3, "rwm"),), id="any-major"),
        pytest.param((DeviceRule("c", 2**32 - 1, 2**31, "m"),), id="large-numbers"),
        pytest.param((DeviceRule("c", 1, 3, "rrwm"),), id="a-letter-twice"),
        pytest.param((DeviceRule("c", 0, 0, "rwm"),), id="zeros"),
    ],
)
def test_the_program_says_what_the_rules_say(rules):
    """The program allows exactly what one rule covers, for each kind, number and access."""
    program = devices.program(rules)
    numbers = [0, 1, 3, 8, 136, 2**31, 2**32 - 1]

    for kind, major, minor, access in itertools.product("bc", numbers, numbers, ACCESS):
        wanted = allowed(rules, kind, major, minor, access)
        assert bpf.allows(program, kind, major, minor, access) == wanted, (kind, major, minor)


def test_a_rule_is_few_instructions():
    """The default rules are a short program, far below the kernel's 4096 instructions."""
    assert len(devices.program(devices.DEFAULT_RULES)) // 8 == 6 + 2 * 6 + 7 * 5 + 4 + 2


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        (DeviceRule("c", 1, 3, "rwm"), ["c 1:3 rwm"]),
        (DeviceRule("b", None, None, "m"), ["b *:* m"]),
        (DeviceRule("c", 136, None, "rw"), ["c 136:* rw"]),
        (DeviceRule("a", 1, 3, "r"), ["b 1:3 r", "c 1:3 r"]),
    ],
)
def test_a_rule_is_a_line_for_each_kind(rule, wanted):
    """Version 1 would read `a` as everything, so both kinds are said one by one."""
    assert devices.lines([rule]) == wanted


@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        (devices.EVERYTHING, True),
        (devices.DEFAULT_RULES, False),
        ((*devices.DEFAULT_RULES, *devices.EVERYTHING), True),
        ((DeviceRule("a", None, None, "rw"),), False),
        ((DeviceRule("a", None, 3, "rwm"),), False),
        ((DeviceRule("a", 3, None, "rwm"),), False),
        ((), False),
    ],
)
def test_everything_is_told_apart(rules, wanted):
    """Only a rule without any restriction makes limits needless."""
    assert devices.allow_all(rules) is wanted
