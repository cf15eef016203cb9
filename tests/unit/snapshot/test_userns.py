"""Work in a user namespace comes back as if it had been done here."""

from __future__ import annotations

import errno
import os
from collections import Counter
from dataclasses import replace

import pytest
from support import seccomp
from support.users import COUNT, FIRST, USER, as_user, in_namespaces

from layerkit.errors import StoreError, StoreFullError
from layerkit.ops.drivers import Drivers
from layerkit.snapshot import idmap, userns
from layerkit.snapshot.skipped import Skipped

pytestmark = [pytest.mark.root, pytest.mark.debian("newuidmap", "newgidmap")]


def raise_(error):
    """Raise from a lambda."""
    raise error


@pytest.fixture
def check(tmp_path):
    """Runs a function as a user with subordinate ids; it must not raise."""
    folder = tmp_path / "home"
    folder.mkdir()

    def run(function):
        def work():
            maps = idmap.of_this_user()
            assert maps is not None
            function(maps)
            with pytest.raises(ChildProcessError):
                os.waitpid(-1, 0)

        assert as_user(folder, work, subordinate=True) == 0

    return run


def test_work_is_done_as_root_of_all_ids(check, tmp_path):
    """The user is 0 there, and can give a file to any other mapped id."""

    def work():
        assert (os.getuid(), os.getgid()) == (0, 0)
        with open("file", "w") as file:
            os.fchown(file.fileno(), 1, COUNT)
        return Skipped(Counter(xattr=3), "user.k of 'f\\xff'")

    wanted = Skipped(Counter(xattr=3), "user.k of 'f\\xff'")
    check(lambda maps: same(userns.run(maps, work), wanted))

    status = (tmp_path / "home/file").stat()
    assert (status.st_uid, status.st_gid) == (FIRST, FIRST + COUNT - 1)


def same(got, wanted):
    """An assertion as an expression."""
    assert got == wanted


def test_nothing_counted_is_not_no_namespace(check):
    """An empty count is told from there being no namespace."""
    check(lambda maps: same(userns.run(maps, Skipped), Skipped()))


def test_the_caller_stays_who_it_was(check):
    """Only the child goes into the namespace."""

    def run(maps):
        userns.run(maps, Skipped)
        assert os.getuid() == USER

    check(run)


def test_an_error_of_the_work_is_raised_here(check):
    """Class, message and hint come through."""

    def run(maps):
        error = StoreFullError("no room", hint="make some")
        with pytest.raises(StoreFullError, match="no room") as raised:
            userns.run(maps, lambda: raise_(error))
        assert raised.value.hint == "make some"

    check(run)


def test_a_bug_of_the_work_is_told_in_full(check):
    """What is no error of layerkit's own comes with its traceback."""

    def run(maps):
        with pytest.raises(RuntimeError, match=r"in raise_\n.*\n.*ZeroDivisionError: oh"):
            userns.run(maps, lambda: raise_(ZeroDivisionError("oh")))

    check(run)


def test_a_child_that_is_killed_is_an_error(check):
    """Nothing is waited for in vain."""

    def run(maps):
        with pytest.raises(StoreError, match="ended early"):
            userns.run(maps, lambda: os.kill(os.getpid(), 9))

    check(run)


UNSHARE = {"x86_64": 272, "aarch64": 97}.get(os.uname().machine)
OBSTACLES = {
    "no-program": lambda: os.environ.update(PATH="/nowhere"),
    # A filter also means that newuidmap, a setuid program, gets no rights.
    "no-setuid": lambda: seccomp.refuse(seccomp.OPENAT2, errno.ENOSYS),
    "no-namespaces": lambda: seccomp.refuse(UNSHARE, errno.EPERM),
}


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_without_a_namespace_nothing_is_done(check, obstacle):
    """Where no ids can be mapped, the work is left to the caller."""
    if obstacle == "no-namespaces" and UNSHARE is None:
        pytest.skip("the number of unshare(2) on this machine is not known here")

    def run(maps):
        OBSTACLES[obstacle]()
        assert userns.run(maps, lambda: raise_(AssertionError("done all the same"))) is None

    check(run)


@pytest.mark.parametrize("kind", ["uids", "gids"])
def test_ids_of_somebody_else_are_not_mapped(check, kind):
    """What newuidmap or newgidmap refuses is not tried in another way."""

    def run(maps):
        foreign = replace(maps, **{kind: idmap.mapped(USER, [(1, 10)])})
        assert userns.run(foreign, lambda: raise_(AssertionError("done all the same"))) is None

    check(run)


def test_a_user_alone_is_root_of_its_id(tmp_path):
    """Without subordinate ids, and without any program, there is a namespace of one id."""
    folder = tmp_path / "home"
    folder.mkdir()

    def work():
        assert (os.getuid(), os.getgid()) == (0, 0)
        with open("file", "w") as file, pytest.raises(OSError, match="Invalid argument") as caught:
            os.fchown(file.fileno(), 1, 1)
        assert caught.value.errno == errno.EINVAL
        return Skipped()

    def run():
        os.environ["PATH"] = "/nowhere"
        assert userns.run(idmap.of_this_user_alone(), work) == Skipped()

    assert as_user(folder, run) == 0
    status = (folder / "file").stat()
    assert (status.st_uid, status.st_gid) == (USER, USER)


@pytest.mark.parametrize("run", [as_user, in_namespaces])
def test_the_drivers_of_a_user(tmp_path, run):
    """OV-38: overlay and copy, in a user namespace and before there is one; erofs is the host's root's."""
    folder = tmp_path / "home"
    folder.mkdir()

    def work():
        assert [each.name for each in Drivers(folder).values() if not each.obstacle()] == [
            "overlay",
            "copy",
        ]
        assert Drivers(folder)["overlay"].user_xattrs

    assert run(folder, work) == 0
