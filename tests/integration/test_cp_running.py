"""A copy to or from a container that runs, and that does what it can to lead it astray."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import tarfile

import pytest
from support import homes, tars
from support.processes import child, outcome, until
from support.swaps import exchange

from layerkit import linux, mounting
from layerkit.errors import ConflictError, LayerkitError
from layerkit.events import ignore
from layerkit.ops import containers, views
from layerkit.ops.cp import CopyOptions, copy, copy_tar_in, copy_tar_out, place
from layerkit.ops.home import Home
from layerkit.store.files import Lock

pytestmark = pytest.mark.root
EVIL = b"#!/bin/sh\ntouch /pwned\n"
BASE = tars.archive(
    tars.directory("etc"),
    tars.file("etc/motd", b"hello\n"),
    *(
        tars.file(name, EVIL, mode=0o755)
        for name in ("bin/xz", "usr/bin/unpigz", "bin/gzip", "bin/tar", "bin/sh")
    ),
    tars.file("lib/x86_64-linux-gnu/libnss_files.so.2", EVIL, mode=0o755),
    tars.file("encodings/__init__.py", b"raise SystemExit(1)"),
)


@pytest.fixture
def home(tmp_path):
    """A new state directory."""
    with Home(tmp_path / "state") as home:
        yield home


@pytest.fixture
def victim(tmp_path):
    """A folder of this machine that is nobody's to touch or to see."""
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "0").mkdir()
    (folder / "0/0").write_bytes(b"secret")
    return folder


@pytest.fixture
def run(home, tmp_path):
    """Starts a container called c that does `work` with its root as its own; lets it be copied with."""
    image = homes.load_layers(home, tmp_path / "layout", [BASE])
    container = homes.create(home, image, name="c")
    folder = containers.folder_of(home, container)
    root = views.of_image(home, image, home.driver("overlay")).root(folder, ())
    shown = tmp_path / "shown"
    shown.mkdir()
    with contextlib.ExitStack() as stack:

        def begin(work=signal.pause):
            reading, writing = os.pipe()

            def contained():
                linux.unshare(linux.CLONE_NEWNS)
                linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
                mounting.mount_root(root, shown)
                linux.mount("proc", str(shown / "proc"), "proc", 0)
                linux.mount("tmpfs", str(shown / "dev"), "tmpfs", 0)
                (shown / "dev/file").touch()
                (shown / "tmp").mkdir()
                linux.mount("tmpfs", str(shown / "tmp"), "tmpfs", 0)
                os.chroot(shown)
                os.chdir("/")
                os.write(writing, b"!")
                work()

            process = stack.enter_context(child(contained))
            os.close(writing)
            assert os.read(reading, 1) == b"!"
            os.close(reading)
            lock = Lock(folder / "lock")
            lock.acquire()
            stack.callback(lock.release)
            state = {"started": 1.0, "finished": None, "exit_code": None, "pid": process.pid}
            (folder / "state.json").write_text(json.dumps(state))
            return process

        yield begin


@pytest.fixture
def cp(home, tmp_path):
    """Copies, with paths of this machine from a folder on."""
    folder = tmp_path / "here"
    (folder / "d").mkdir(parents=True)
    (folder / "d/file").write_bytes(b"file")

    def copied(source, target, **options):
        wishes = CopyOptions(folder=str(folder), **options)
        return copy(home, place(source), place(target), wishes, ignore)

    copied.folder = folder
    return copied


def test_a_running_container_is_read_and_written(run, cp):
    """What is copied is what the container itself sees, on its mounts, too."""

    def work():
        until(lambda: os.path.exists("/tmp/d/file"))
        with open("/tmp/answer", "w") as file:
            file.write("seen")
        signal.pause()

    run(work)

    cp("d", "c:/tmp")

    def answered():
        with contextlib.suppress(LayerkitError):
            cp("c:/tmp/answer", "answer")
        return (cp.folder / "answer").exists() and (cp.folder / "answer").read_text() == "seen"

    until(answered)


def test_what_the_kernel_makes_up_is_not_copied(run, cp, home):
    """Of /proc, /sys and /dev a copy of the root has the directories; nothing in them can be a source."""
    run()
    cp("c:/", "root")

    assert {"dev", "etc", "proc", "tmp"} <= set(os.listdir(cp.folder / "root"))
    assert os.listdir(cp.folder / "root/proc") == os.listdir(cp.folder / "root/dev") == []
    with pytest.raises(LayerkitError, match="the kernel makes up"):
        cp("c:/proc/self/status", "status")
    tar = b"".join(copy_tar_out(home, place("c:/etc"), CopyOptions()))
    with tarfile.open(fileobj=io.BytesIO(tar)) as found:
        assert "etc/motd" in found.getnames()


@pytest.mark.parametrize("pid", [2**22 + 1, 1])
def test_without_its_process_nothing_is_touched(run, home, cp, pid):
    """A process that is not there, or has this machine's root is not the container's."""
    run()
    folder = containers.folder_of(home, containers.find_container(home, "c"))
    state = {"started": 1.0, "finished": None, "exit_code": None, "pid": pid}
    (folder / "state.json").write_text(json.dumps(state))

    with pytest.raises(ConflictError, match="c"):
        cp("d", "c:/etc")


def test_links_out_of_the_root_lead_nowhere(run, cp, victim):
    """SE-56: a symlink to a place of this machine, or by way of /proc, is one of the container's root."""

    def work():
        os.symlink(victim, "/out")
        os.symlink("../../../../../.." + str(victim), "/up")
        os.symlink("/proc/1/root", "/magic")
        with open("/tmp/ready", "w"):
            signal.pause()

    run(work)
    until(lambda: _copied(cp, "c:/tmp/ready"))

    for link in ("out", "up"):
        with pytest.raises(LayerkitError, match="no such file"):
            cp(f"c:/{link}/0/0", "stolen")
        with pytest.raises(LayerkitError):
            cp("d/file", f"c:/{link}/0/0")
    for path in (f"c:/magic{victim}/0", "c:/magic/etc/passwd", "c:/proc/self/root/etc/passwd"):
        with pytest.raises(LayerkitError):
            cp(path, "stolen")
    assert (victim / "0/0").read_bytes() == b"secret"
    assert not (cp.folder / "stolen").exists()


def _copied(cp, source):
    with contextlib.suppress(LayerkitError):
        cp(source, "copied")
    return (cp.folder / "copied").exists()


def _swap(victim):
    """Swap the folder /work and a symlink to the victim for ever; say so once it was done."""
    for number in range(20):  # made now: overlayfs does not rename directories of an image
        os.makedirs(f"/work/{number}")
        for each in range(10):
            os.close(os.open(f"/work/{number}/{each}", os.O_CREAT))
    os.symlink(victim, "/away")
    swaps = 0
    while True:
        exchange("/work", "/away")
        swaps += 1
        if swaps == 2:
            os.close(os.open("/tmp/swapping", os.O_CREAT))


@pytest.mark.parametrize("source", ["c:/work", "c:/work/", "c:/work/.", "c:/work/0", "c:/work/0/0"])
def test_a_swapped_source_never_shows_this_machine(run, cp, victim, source):
    """SE-11, SE-56: CVE-2018-15664 outwards: a copy has files of the container or fails."""
    run(lambda: _swap(victim))
    until(lambda: _copied(cp, "c:/tmp/swapping"))

    for number in range(30):
        with contextlib.suppress(LayerkitError):
            cp(source, f"copy{number}")

    assert b"secret" not in _contents(cp.folder)


def _contents(folder):
    """The bytes of all regular files, no symlink followed."""
    found = []
    for top, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(top, name)
            if not os.path.islink(path):
                with open(path, "rb") as file:
                    found.append(file.read())
    return found


@pytest.mark.parametrize("target", ["c:/work", "c:/work/0", "c:/work/new", "c:/work/0/0"])
@pytest.mark.parametrize("source", ["many", "many/.", "d/file"])
def test_a_swapped_destination_never_leads_to_this_machine(run, cp, victim, source, target):
    """SE-11, SE-56: CVE-2018-15664 inwards: nothing is written or removed outside of the root."""
    for number in range(50):
        (cp.folder / f"many/{number}").mkdir(parents=True)
        (cp.folder / f"many/{number}/file").write_bytes(b"pwned")
    run(lambda: _swap(victim))
    until(lambda: _copied(cp, "c:/tmp/swapping"))

    for _ in range(10):
        with contextlib.suppress(LayerkitError):
            cp(source, target)

    assert [path.relative_to(victim).as_posix() for path in sorted(victim.rglob("*"))] == [
        "0",
        "0/0",
    ]
    assert (victim / "0/0").read_bytes() == b"secret"


@pytest.mark.parametrize("compression", ["", "gz", "xz", "bz2"])
def test_nothing_of_the_container_is_executed(run, home, cp, tmp_path, compression):
    """SE-14: programs, libraries and modules of the container are data, whatever their names."""
    run()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=f"w:{compression}") as tar:
        tar.add(cp.folder / "d/file", "from-tar")
    (tmp_path / "tar").write_bytes(packed.getvalue())

    with (tmp_path / "tar").open("rb") as file:
        copy_tar_in(home, file.fileno(), place("c:/etc"), CopyOptions())
    cp("c:/", "root", archive=True)
    cp("d", "c:/", archive=True)

    assert (cp.folder / "root/etc/from-tar").read_bytes() == b"file"
    assert not (cp.folder / "root/pwned").exists()


def test_a_killed_copy_leaves_nothing_mounted(home, tmp_path):
    """The root of a container that does not run goes away with whoever had it mounted."""
    image = homes.load_layers(home, tmp_path / "layout", [BASE])
    homes.create(home, image, name="c")

    def killed():
        with Home(tmp_path / "state") as mine:
            pieces = copy_tar_out(mine, place("c:/"), CopyOptions())
            next(pieces)
            os.kill(os.getpid(), signal.SIGKILL)

    assert outcome(killed) == -signal.SIGKILL
    (tmp_path / "here").mkdir()

    def free():
        with contextlib.suppress(ConflictError):
            return copy(
                home, place("c:/etc/motd"), place(str(tmp_path / "here/motd")), CopyOptions()
            )

    until(free)
    assert (tmp_path / "here/motd").read_bytes() == b"hello\n"
