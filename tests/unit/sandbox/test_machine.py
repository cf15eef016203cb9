"""The programs in machine code and their sources."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import layerkit.sandbox.machine
from layerkit.sandbox import trampoline
from layerkit.sandbox.machine.code import CODE

SOURCES = Path(layerkit.sandbox.machine.__file__).parent
SCRIPT = Path(__file__).parents[3] / "scripts" / "assemble"
NO_ASSEMBLER = 77


@pytest.mark.debian
@pytest.mark.parametrize("name", sorted(CODE))
def test_the_bytes_are_those_of_the_source(name):
    """Assembling a source again gives the bytes that layerkit runs."""
    done = subprocess.run(
        [sys.executable, SCRIPT, name], capture_output=True, text=True, check=False
    )
    if done.returncode == NO_ASSEMBLER:
        pytest.skip(done.stdout.strip())

    assert done.stdout.strip() == CODE[name].hex(), done.stderr


def test_every_source_is_assembled():
    """There is a source for every program, and every program has both parts for its machine."""
    assert {path.stem for path in SOURCES.glob("*.S")} == set(CODE)
    machines = {name.partition("-")[2] for name in CODE}
    assert set(CODE) == {f"{part}-{machine}" for part in ("init", "start") for machine in machines}


@pytest.mark.parametrize("name", sorted(CODE))
def test_every_program_is_a_file_that_the_kernel_takes(name):
    """The file is for the machine of its name and holds the code."""
    program, _, machine = name.partition("-")
    file = trampoline.image(machine, program)

    assert (file[:4], file[18]) == (b"\x7fELF", {"aarch64": 183, "x86_64": 62}[machine])
    assert file.endswith(CODE[name])
