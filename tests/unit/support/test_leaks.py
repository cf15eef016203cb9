"""The guard of the test session sees what a test can leave behind, and nothing else."""

import os
import subprocess
from pathlib import Path

import pytest
from support import leaks


@pytest.fixture
def sleeper():
    """Starts processes that wait for ever, and ends them with the test."""
    started = []

    def start(*command, **options):
        process = subprocess.Popen([*command, "sleep", "1000"], **options)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def found_of(process, folder):
    """What is found once `process` has become `sleep`, or after it ended too early."""
    command = Path(f"/proc/{process.pid}/cmdline")
    while process.poll() is None and not command.read_bytes().startswith(b"sleep"):
        pass
    return leaks.processes(folder)


def test_a_process_with_the_folder_in_its_environment_is_seen(tmp_path, sleeper):
    """A process that inherited the session's environment is found, also by its last name."""
    process = sleeper(env={**os.environ, "TMPDIR": f"{tmp_path}/tmp"})

    assert found_of(process, tmp_path) == [f"{process.pid} sleep 1000"]


def test_a_process_without_the_folder_is_not_seen(tmp_path, sleeper):
    """A process that has nothing to do with the session does not count."""
    process = sleeper(env={"PATH": os.environ["PATH"], "TMPDIR": f"{tmp_path}-other/tmp"})

    assert found_of(process, tmp_path) == []


@pytest.mark.root
@pytest.mark.debian("unshare", "mount")
def test_a_process_in_a_container_is_seen(tmp_path, sleeper):
    """A process with a clean environment is found by the mounts that it alone sees."""
    (tmp_path / "inside").mkdir()
    mount = f'mount -t tmpfs none {tmp_path}/inside && cd / && exec env -i "$@"'
    process = sleeper("unshare", "--mount", "sh", "-c", mount, "sh")

    assert found_of(process, tmp_path) == [f"{process.pid} sleep 1000"]
    assert leaks.mounts(tmp_path) == []


@pytest.mark.root
@pytest.mark.debian("mkfs.ext4", "mount")
def test_mounts_and_loop_devices_are_seen(tmp_path):
    """A mount below the folder is found by its line, a loop device by its file."""
    image = tmp_path / "disk.img"
    image.touch()
    os.truncate(image, 1 << 20)
    (tmp_path / "disk").mkdir()
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, tmp_path / "disk"], check=True)
    try:
        assert len(leaks.mounts(tmp_path)) == 1
        assert len(leaks.loop_devices(tmp_path)) == 1
    finally:
        subprocess.run(["umount", tmp_path / "disk"], check=True)
    assert leaks.mounts(tmp_path) == leaks.loop_devices(tmp_path) == []


def test_temporary_files_are_named(tmp_path, monkeypatch):
    """A file in the temporary folder is reported with its path once the grace is over."""
    monkeypatch.setattr(leaks, "_GRACE", 0.0)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    assert leaks.left_behind(tmp_path, temporary) == []

    (temporary / "forgotten").touch()

    assert leaks.left_behind(tmp_path, temporary) == [f"temporary file {temporary}/forgotten"]
