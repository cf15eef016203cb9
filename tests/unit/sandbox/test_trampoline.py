"""The program between Python and the container's program."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import subprocess
import sys

import pytest

from layerkit.sandbox import trampoline

needs_code = pytest.mark.skipif(
    trampoline.image(os.uname().machine) is None, reason="no trampoline for this machine"
)

# Puts the trampoline on 4 and the report on 3, as the sandbox does.
LAUNCH = """
import os, sys
from layerkit.sandbox import trampoline
program = trampoline.create()
report = os.dup(int(sys.argv[1]))
moved = os.dup2(program, 9, inheritable=False)
os.dup2(report, 3)
os.closerange(4, 9)
os.closerange(10, 100)
os.execve(moved, sys.argv[2:], {"WHO": "me"})
"""


def launch(*argv):
    """Result of the trampoline called with `argv`, and what it wrote to the report."""
    reading, writing = os.pipe()
    with open(reading, "rb") as report:
        done = subprocess.run(
            [sys.executable, "-c", LAUNCH, str(writing), *argv],
            pass_fds=[writing],
            capture_output=True,
            check=False,
        )
        os.close(writing)
        return done, report.read()


@needs_code
def test_it_executes_the_path_with_the_other_arguments():
    """The first argument is the path, the rest is the program's argv; the environment goes along."""
    done, report = launch("/bin/sh", "shell", "-c", 'echo "$0" "$1" "$WHO"; exit 5', "zero", "one")

    assert (done.returncode, done.stdout, report) == (5, b"zero one me\n", b"")


@needs_code
def test_the_program_inherits_no_descriptor_of_it():
    """Report and trampoline are closed when the program runs."""
    done, _ = launch("/bin/ls", "ls", "/proc/self/fd")

    assert done.stdout.split() == [b"0", b"1", b"2", b"3"]  # 3 is the folder that ls reads


@needs_code
@pytest.mark.parametrize(
    ("path", "number"),
    [("/nosuch", errno.ENOENT), ("/etc", errno.EACCES), ("/etc/passwd/x", errno.ENOTDIR)],
)
def test_it_reports_why_the_program_does_not_run(path, number):
    """A failed execve is reported by its errno, exactly."""
    done, report = launch(path, "x")

    assert (done.returncode, trampoline.why(report)) == (127, number)


@needs_code
def test_it_ends_when_the_image_runs_it_again():
    """`#!/proc/self/exe` finds the trampoline, which gives up instead of going round for ever."""
    done, report = launch("/proc/self/exe", "/proc/self/exe", "x")

    assert (done.returncode, report) == (126, b"")


@needs_code
def test_nobody_can_change_it():
    """The memory file is sealed against writing, growing, shrinking and unsealing."""
    descriptor = trampoline.create()
    try:
        wanted = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
        assert fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & wanted == wanted
        with pytest.raises(PermissionError):
            os.pwrite(descriptor, b"x", 0)
    finally:
        os.close(descriptor)


def test_it_is_a_small_static_program():
    """One loadable segment, entered behind the headers, holds all of it."""
    image = trampoline.image("x86_64")
    entry, size = struct.unpack_from("<Q", image, 24)[0], struct.unpack_from("<Q", image, 96)[0]

    assert (image[:4], entry, size) == (b"\x7fELF", 0x400000 + 120, len(image))


def test_other_machines_have_none():
    """Without code for the machine there is no trampoline, never a wrong one."""
    assert trampoline.image("pdp11") is None


@pytest.mark.parametrize("report", [b"", b"{}", b"123456789"])
def test_other_bytes_are_no_report(report):
    """Only eight bytes are the trampoline's."""
    assert trampoline.why(report) is None
