"""Seccomp profiles: what is a profile, and which of its rules hold."""

from __future__ import annotations

import json

import pytest

from layerkit.errors import UsageError
from layerkit.sandbox.seccomp import profile as profiles

X86 = profiles.Target("x86_64", (6, 18), ("KILL", "SYS_ADMIN"))
ALLOW = "SCMP_ACT_ALLOW"


def text(**fields):
    """A profile with these fields."""
    return json.dumps({"defaultAction": "SCMP_ACT_ERRNO", **fields}).encode()


def with_rule(**fields):
    """A profile with one rule, which has these fields too."""
    return text(syscalls=[{"names": ["read"], "action": ALLOW, **fields}])


def with_argument(**fields):
    """A profile whose one rule has this argument."""
    return with_rule(args=[{"index": 0, "value": 1, "op": "SCMP_CMP_EQ", **fields}])


def test_a_whole_profile_is_read():
    """All fields that docker documents, legacy `name` and nulls of Go's included."""
    raw = text(
        defaultErrnoRet=38,
        architectures=None,
        archMap=[{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": None}],
        syscalls=[
            {"name": "read", "action": ALLOW, "comment": "one", "args": None, "includes": {}},
            {
                "names": ["clone"],
                "action": "SCMP_ACT_TRACE",
                "errnoRet": 4095,
                "args": [
                    {"index": 5, "value": 2**64 - 1, "valueTwo": 7, "op": "SCMP_CMP_MASKED_EQ"}
                ],
                "excludes": {"caps": ["CAP_KILL"], "arches": ["arm64"], "minKernel": "5.10"},
            },
        ],
    )

    read = profiles.parse(raw, "x.json")

    assert (read.default_action, read.default_errno_ret) == ("SCMP_ACT_ERRNO", 38)
    assert [rule.calls for rule in read.syscalls] == [["read"], ["clone"]]
    assert read.syscalls[1].args[0].value == 2**64 - 1
    assert read.syscalls[1].excludes.min_kernel == "5.10"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "not JSON"),
        (b"[]", "wanted an object"),
        (b"\xff\xfe{}", "not JSON"),
        (b'{"defaultAction": 1, "defaultAction": 2}', "same key twice"),
        (b"[" * 100_000, "not JSON"),
        (b" " * (1 << 20) + b"{}", "at most 1048576 allowed"),
        (b"{}", "missing required field `defaultAction`"),
        (text(defaultAction="ALLOW"), r"Invalid enum value 'ALLOW' - at `$.defaultAction`"),
        (text(defaultAction="SCMP_ACT_NOTIFY"), r"Invalid enum value 'SCMP_ACT_NOTIFY'"),
        (text(defaultErrnoRet=4096), r"`int` <= 4095 - at `$.defaultErrnoRet`"),
        (text(flags=["SECCOMP_FILTER_FLAG_LOG"]), "unknown field `flags`"),
        (text(listenerPath="/x"), "unknown field `listenerPath`"),
        (text(syscalls={}), "Expected `array | null`, got `object` - at `$.syscalls`"),
        (
            text(architectures=["SCMP_ARCH_X86"], archMap=[{"architecture": "SCMP_ARCH_X86"}]),
            "either `archMap` or `architectures`",
        ),
        (text(syscalls=[{"action": ALLOW}]), "`names` or `name` - at `$.syscalls[0]`"),
        (with_rule(name="write"), "`names` or `name` - at `$.syscalls[0]`"),
        (with_rule(names=[1]), "got `int` - at `$.syscalls[0].names[0]`"),
        (with_rule(action="SCMP_ACT_NOTHING"), "at `$.syscalls[0].action`"),
        (with_rule(errnoRet=-1), "at `$.syscalls[0].errnoRet`"),
        (with_rule(nonsense=1), "unknown field `nonsense` - at `$.syscalls[0]`"),
        (with_rule(includes={"minKernel": "six"}), "'six' is not a kernel version such as 4.8"),
        (with_rule(excludes={"kernel": "4.8"}), "unknown field `kernel`"),
        (with_argument(index=6), "at `$.syscalls[0].args[0].index`"),
        (with_argument(index=-1), "at `$.syscalls[0].args[0].index`"),
        (with_argument(value=2**64), "not a number of 64 bits - at `$.syscalls[0].args[0]`"),
        (with_argument(valueTwo=-1), "not a number of 64 bits - at `$.syscalls[0].args[0]`"),
        (with_argument(op="=="), "at `$.syscalls[0].args[0].op`"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else value[-50:],
)  # fmt: skip
def test_what_is_no_profile_is_refused(raw, message):
    """Everything that is not exactly a profile is an error that names the file and the field."""
    with pytest.raises(UsageError) as caught:
        profiles.parse(raw, "my.json")

    assert caught.value.message.startswith("invalid seccomp profile my.json: ")
    assert message in caught.value.message
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        ({}, True),
        ({"includes": {"caps": ["CAP_KILL", "CAP_SYS_ADMIN"]}}, True),
        ({"includes": {"caps": ["CAP_KILL", "CAP_BPF"]}}, False),
        ({"includes": {"arches": ["arm64", "amd64"]}}, True),
        ({"includes": {"arches": ["arm64"]}}, False),
        ({"includes": {"minKernel": "4.8"}}, True),
        ({"includes": {"minKernel": "6.18"}}, True),
        ({"includes": {"minKernel": "6.19"}}, False),
        ({"includes": {"minKernel": "10.0"}}, False),
        ({"excludes": {"caps": ["CAP_BPF", "CAP_KILL"]}}, False),
        ({"excludes": {"caps": ["CAP_BPF"]}}, True),
        ({"excludes": {"arches": ["amd64"]}}, False),
        ({"excludes": {"minKernel": "4.8"}}, False),
        ({"excludes": {"minKernel": "7.0"}}, True),
        ({"includes": {"arches": ["amd64"]}, "excludes": {"caps": ["CAP_KILL"]}}, False),
    ],
)
def test_a_rule_holds_by_its_conditions(conditions, holds):
    """All of what is included is needed, any of what is excluded is enough."""
    found = profiles.rules(profiles.parse(with_rule(**conditions), "x"), X86)

    assert bool(found) == holds


@pytest.mark.parametrize(
    ("fields", "machine", "wanted"),
    [
        ({}, "x86_64", ["X86_64"]),
        ({"architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]}, "x86_64", ["X86_64", "X86"]),
        (
            {
                "archMap": [
                    {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X32"]},
                    {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
                ]
            },
            "aarch64",
            ["AARCH64", "ARM"],
        ),
        ({}, "pdp11", [""]),
    ],
)
def test_the_machine_decides_about_architectures(fields, machine, wanted):
    """The machine's own architecture comes first, with what the profile has for it."""
    target = profiles.Target(machine, (6, 18), ())

    assert profiles.architectures(profiles.parse(text(**fields), "x"), target) == wanted


@pytest.mark.parametrize(
    ("release", "wanted"),
    [("6.18.5-amd64", (6, 18)), ("4.8", (4, 8)), ("5.10.0-rc1", (5, 10)), ("unknown", (0, 0))],
)
def test_a_kernel_is_known_by_two_numbers(release, wanted):
    """Only the first two numbers of a release count."""
    assert profiles.kernel_version(release) == wanted
