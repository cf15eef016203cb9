"""Compiled profiles, run by an interpreter."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
from support import filters

import layerkit.sandbox.seccomp
from layerkit import libseccomp
from layerkit.errors import SandboxError
from layerkit.sandbox.capabilities import DOCKER_CAPABILITIES
from layerkit.sandbox.seccomp import profile as profiles
from layerkit.sandbox.seccomp.compiling import compile_profile

DEFAULT = Path(layerkit.sandbox.seccomp.__file__).with_name("default.json").read_bytes()
NEWNS, NEWUSER, SIGCHLD = 0x00020000, 0x10000000, 17
EPERM, ENOSYS = errno.EPERM, errno.ENOSYS


def compiled(raw, *capabilities, machine="x86_64", kernel=(6, 18)):
    """The program of the profile in `raw`."""
    target = profiles.Target(machine, kernel, capabilities)
    return compile_profile(profiles.parse(raw, "test"), target, "test")


def profile(*rules, default="SCMP_ACT_ERRNO", **fields):
    """The text of a profile with these rules."""
    return json.dumps({"defaultAction": default, "syscalls": rules, **fields}).encode()


def rule(*names, action="SCMP_ACT_ALLOW", **fields):
    """A rule, as JSON has it."""
    return {"names": names, "action": action, **fields}


def compare(op, value, index=0, **fields):
    """A comparison of an argument."""
    return {"index": index, "op": f"SCMP_CMP_{op}", "value": value, **fields}


def number(name, architecture=filters.X86_64):
    """The number of a system call."""
    return libseccomp.number(name, architecture)


def outcome(program, name, *arguments):
    """The errno that a call on x86-64 gets, 0 for none."""
    return filters.errno_of(filters.answer(program, number(name), *arguments))


@pytest.fixture(scope="module")
def default():
    """Docker's default profile for docker's default capabilities on x86-64."""
    return compiled(DEFAULT, *DOCKER_CAPABILITIES)


@pytest.mark.parametrize(
    ("name", "arguments", "wanted"),
    [
        ("read", (), 0),
        ("execve", (), 0),
        ("arch_prctl", (), 0),
        ("chroot", (), 0),
        ("ptrace", (), 0),
        ("mount", (), EPERM),
        ("umount2", (), EPERM),
        ("unshare", (NEWUSER,), EPERM),
        ("setns", (), EPERM),
        ("keyctl", (), EPERM),
        ("add_key", (), EPERM),
        ("bpf", (), EPERM),
        ("io_uring_setup", (), EPERM),
        ("userfaultfd", (), EPERM),
        ("kexec_load", (), EPERM),
        ("perf_event_open", (), EPERM),
        ("open_by_handle_at", (), EPERM),
        ("sethostname", (), EPERM),
        ("clock_settime", (), EPERM),
        ("init_module", (), EPERM),
        ("clone3", (), ENOSYS),
        ("clone", (SIGCHLD,), 0),
        ("clone", (0x3D0F00,), 0),
        ("clone", (NEWNS | SIGCHLD,), EPERM),
        ("clone", (NEWUSER,), EPERM),
        ("socket", (1,), 0),
        ("socket", (2,), 0),
        ("socket", (16,), 0),
        ("socket", (37,), 0),
        ("socket", (38,), EPERM),
        ("socket", (39,), 0),
        ("socket", (40,), EPERM),
        ("socket", (41,), 0),
        ("personality", (0,), 0),
        ("personality", (8,), 0),
        ("personality", (0x20000,), 0),
        ("personality", (0x20008,), 0),
        ("personality", (0xFFFFFFFF,), 0),
        ("personality", (0x0040000,), EPERM),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_the_default_profile_is_dockers(default, name, arguments, wanted):
    """RT-P14: what a container may do by default, and how it is told what it may not."""
    assert outcome(default, name, *arguments) == wanted


@pytest.mark.parametrize(
    ("capability", "name", "arguments"),
    [
        ("SYS_ADMIN", "mount", ()),
        ("SYS_ADMIN", "clone", (NEWNS,)),
        ("SYS_ADMIN", "clone3", ()),
        ("SYS_ADMIN", "unshare", ()),
        ("SYS_TIME", "clock_settime", ()),
        ("SYS_MODULE", "finit_module", ()),
        ("SYS_BOOT", "reboot", ()),
        ("SYS_NICE", "mbind", ()),
        ("SYSLOG", "syslog", ()),
        ("BPF", "bpf", ()),
        ("DAC_READ_SEARCH", "open_by_handle_at", ()),
    ],
)
def test_a_capability_brings_its_calls(default, capability, name, arguments):
    """RT-P14: a call that a capability is about goes through with it, and not without."""
    program = compiled(DEFAULT, *DOCKER_CAPABILITIES, capability)

    assert outcome(default, name, *arguments) != 0
    assert outcome(program, name, *arguments) == 0


def test_an_old_kernel_gets_no_tracing():
    """A rule with minKernel is left out where the kernel is older."""
    assert outcome(compiled(DEFAULT, kernel=(4, 7)), "ptrace") == EPERM


def test_32_bit_programs_are_covered(default):
    """x86 and x32 calls meet the same rules under their own numbers; other architectures die."""
    x86 = [
        filters.errno_of(
            filters.answer(default, number(name, filters.X86), architecture=filters.X86)
        )
        for name in ("read", "mount", "clone3")
    ]
    x32 = [
        filters.errno_of(filters.answer(default, filters.X32_BIT | number(n)))
        for n in ("read", "mount")
    ]

    assert (x86, x32) == ([0, EPERM, ENOSYS], [0, EPERM])
    assert filters.answer(default, 0, architecture=filters.AARCH64) == filters.KILL


@pytest.mark.parametrize(
    ("call", "architecture"),
    [(500, filters.X86_64), (500, filters.X86), (filters.X32_BIT | 1000, filters.X86_64)],
)
def test_calls_of_the_future_do_not_exist(default, call, architecture):
    """A call newer than all in the profile is ENOSYS, so libraries take an older one."""
    assert filters.errno_of(filters.answer(default, call, architecture=architecture)) == ENOSYS


def test_another_machine_has_its_own_program():
    """Compiled for aarch64, the numbers are those of aarch64."""
    program = compiled(DEFAULT, *DOCKER_CAPABILITIES, machine="aarch64")
    answers = {
        name: filters.errno_of(
            filters.answer(program, number(name, filters.AARCH64), architecture=filters.AARCH64)
        )
        for name in ("read", "mount", "clone3")
    }

    assert answers == {"read": 0, "mount": EPERM, "clone3": ENOSYS}
    assert filters.answer(program, 0) == filters.KILL


@pytest.mark.parametrize(
    ("op", "value", "more", "allowed", "refused"),
    [
        ("NE", 5, {}, (4, 6), (5,)),
        ("LT", 5, {}, (4,), (5, 6)),
        ("LE", 5, {}, (4, 5), (6,)),
        ("EQ", 5, {}, (5,), (4, 6)),
        ("GE", 5, {}, (5, 6), (4,)),
        ("GT", 5, {}, (6,), (5, 4)),
        ("MASKED_EQ", 0xF0, {"valueTwo": 0x20}, (0x20, 0x2F, 0x120), (0x30, 0)),
        ("EQ", 1 << 40, {}, (1 << 40,), (0, 1)),
    ],
)
def test_arguments_are_compared(op, value, more, allowed, refused):
    """Each operator is the one of its name, on all 64 bits."""
    program = compiled(profile(rule("read", args=[compare(op, value, **more)])))

    assert {outcome(program, "read", each) for each in allowed} == {0}
    assert {outcome(program, "read", each) for each in refused} == {EPERM}


def test_different_arguments_count_together_and_equal_ones_apart():
    """Comparisons of several arguments all have to hold, of one argument any (as runc has it)."""
    both = compiled(profile(rule("read", args=[compare("EQ", 1), compare("EQ", 2, index=1)])))
    any_of = compiled(profile(rule("read", args=[compare("EQ", 1), compare("EQ", 2)])))

    assert [outcome(both, "read", *each) for each in ((1, 2), (1, 0), (0, 2))] == [0, EPERM, EPERM]
    assert [outcome(any_of, "read", each) for each in (1, 2, 3)] == [0, 0, EPERM]


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"action": "SCMP_ACT_ERRNO"}, filters.ERRNO | EPERM),
        ({"action": "SCMP_ACT_ERRNO", "errnoRet": 0}, filters.ERRNO),
        ({"action": "SCMP_ACT_TRACE", "errnoRet": 7}, 0x7FF00007),
        ({"action": "SCMP_ACT_KILL"}, 0),
        ({"action": "SCMP_ACT_KILL_PROCESS"}, 0x80000000),
        ({"action": "SCMP_ACT_TRAP"}, 0x00030000),
        ({"action": "SCMP_ACT_LOG"}, 0x7FFC0000),
    ],
    ids=lambda value: value["action"] if isinstance(value, dict) else None,
)
def test_an_action_is_the_kernels(fields, wanted):
    """Each action has the number that seccomp(2) gives it; other calls meet the default."""
    program = compiled(profile(rule("read", **fields), default="SCMP_ACT_ALLOW"))

    assert filters.answer(program, number("read")) == wanted
    assert filters.answer(program, number("write")) == filters.ALLOW
    assert filters.answer(program, 9999) == filters.ALLOW


def test_the_default_errno_is_the_profiles():
    """A call without a rule gets defaultErrnoRet, a call of the future ENOSYS all the same."""
    program = compiled(profile(rule("read", "write"), defaultErrnoRet=13))

    assert filters.errno_of(filters.answer(program, number("write"))) == 0
    assert filters.errno_of(filters.answer(program, 9999)) == ENOSYS
    assert outcome(compiled(profile(defaultErrnoRet=13)), "read") == 13


def test_names_that_libseccomp_does_not_know_are_skipped():
    """A profile for a newer libseccomp works, without what this one does not know."""
    program = compiled(profile(rule("read", "no_such_call", "\N{SNOWMAN}")))

    assert (outcome(program, "read"), number("no_such_call")) == (0, None)


@pytest.mark.parametrize(
    ("raw", "machine", "message"),
    [
        (profile(), "pdp11", "unknown machine pdp11"),
        (profile(architectures=["SCMP_ARCH_PDP11"]), "x86_64", "unknown architecture PDP11"),
        (
            profile(*(rule("read", args=[compare("EQ", n)]) for n in range(4200))),
            "x86_64",
            "too long: ",
        ),
    ],
    ids=["machine", "architecture", "too long"],
)
def test_what_cannot_be_compiled_says_why(raw, machine, message):
    """A machine or architecture that is unknown, and a program too long for the kernel, are errors."""
    with pytest.raises(SandboxError, match=message):
        compiled(raw, machine=machine)
