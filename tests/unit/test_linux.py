"""The system calls by ctypes."""

from __future__ import annotations

import ctypes
import errno
import os
import sys

import pytest

from layerkit import libc, linux


def forked(action):
    """The exit code of a child that does `action`; 99 if it raised."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = action() or 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture
def root(tmp_path):
    """A descriptor of a folder with a file and links of all kinds."""
    (tmp_path / "file").write_text("inside")
    (tmp_path / "up").symlink_to("../..")
    (tmp_path / "absolute").symlink_to("/file")
    (tmp_path / "magic").symlink_to("/proc/self/exe")
    descriptor = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def test_openat2_resolves_in_the_root(root):
    """In a root, absolute links and `..` end inside of it, and the descriptor is close-on-exec."""
    descriptor = linux.openat2(root, "/up/absolute", os.O_RDONLY, linux.RESOLVE_IN_ROOT)
    with open(descriptor) as file:
        assert file.read() == "inside"
        assert not os.get_inheritable(descriptor)


@pytest.mark.parametrize(
    ("path", "resolve", "number"),
    [
        ("absolute", linux.RESOLVE_NO_SYMLINKS, errno.ELOOP),
        ("/proc/self/exe", linux.RESOLVE_NO_MAGICLINKS, errno.ELOOP),
        ("../x", linux.RESOLVE_BENEATH, errno.EXDEV),
        ("nosuch", 0, errno.ENOENT),
    ],
)
def test_openat2_says_what_is_wrong_with_which_path(root, path, resolve, number):
    """A refused path is an `OSError` with the kernel's number and the path."""
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        linux.openat2(root, path, os.O_PATH, resolve)
    assert (caught.value.errno, caught.value.filename) == (number, path)


@pytest.mark.parametrize(("times", "number"), [(3, None), (10**6, errno.EAGAIN)])
def test_openat2_tries_again_while_something_is_renamed(root, monkeypatch, times, number):
    """The kernel says EAGAIN for a `..` while anything on the machine moves, but not forever."""
    openat2 = linux._openat2
    left = iter(range(times))

    def busy(*arguments):
        if next(left, None) is None:
            return openat2(*arguments)
        ctypes.set_errno(errno.EAGAIN)
        return -1

    monkeypatch.setattr(linux, "_openat2", busy)
    if number is None:
        os.close(linux.openat2(root, "/up/file", os.O_PATH, linux.RESOLVE_IN_ROOT))
        return
    with pytest.raises(OSError, match=os.strerror(number)):
        linux.openat2(root, "/up/file", os.O_PATH, linux.RESOLVE_IN_ROOT)


def test_close_others_closes_all_others():
    """Only the descriptors in the list stay open, in whatever order they are given."""

    def check():
        for _ in range(20):
            os.open("/", os.O_PATH)
        linux.close_others([9, 1, 12, 1])
        return [int(os.path.exists(f"/proc/self/fd/{n}")) for n in range(30)] != [
            int(n in {1, 9, 12}) for n in range(30)
        ]

    assert forked(check) == 0


@pytest.mark.root
def test_capabilities_become_exactly_the_mask():
    """All five sets are as /proc/self/status shows them in a docker container."""

    def check():
        linux.bound_capabilities(0xA80425FB)
        linux.set_capabilities(0xA80425FB)
        with open("/proc/self/status") as status:
            sets = dict(
                line.split(":\t") for line in status.read().splitlines() if line[:3] == "Cap"
            )
        full, none = "00000000a80425fb", "0" * 16
        wanted = {"CapInh": none, "CapPrm": full, "CapEff": full, "CapBnd": full, "CapAmb": none}
        return sets != wanted

    assert forked(check) == 0


@pytest.mark.root
def test_the_new_keyring_is_another_one():
    """Each change gives the process a session keyring that was not there before."""

    def check():
        linux.join_new_keyring()
        first = _own_keyrings()
        linux.join_new_keyring()
        return not _own_keyrings() - first

    assert forked(lambda: bool(check())) == 0


def _own_keyrings():
    with open("/proc/keys") as keys:
        return {line.split()[0] for line in keys if "_ses" in line}


@pytest.mark.root
def test_a_refused_mount_option_is_explained():
    """The kernel's own words about a file system come with the error."""

    def check():
        context = linux.fsopen("tmpfs")
        try:
            linux.fsconfig(context, "nosuchoption", "1")
        except OSError as error:
            return not ("nosuchoption" in error.strerror and error.errno == errno.EINVAL)
        return 1

    assert forked(check) == 0


def test_an_unmount_of_nothing_names_the_path():
    """A failed call names what it was about."""
    with pytest.raises(OSError, match="/nosuch"):
        linux.umount2("/nosuch", 0)


def test_a_program_about_devices_needs_a_group(root):
    """The kernel takes the program, but no folder that is not a control group; each is an error."""
    allow = bytes.fromhex("b4000000010000009500000000000000")
    if os.geteuid() or sys.byteorder == "big":
        pytest.skip("needs root, and a machine with the bytes of this program")
    with pytest.raises(OSError, match="bpf") as caught:
        linux.attach_device_program(root, allow)
    assert caught.value.errno == errno.EBADF
    with pytest.raises(OSError, match="bpf") as caught:
        linux.attach_device_program(root, bytes(8))
    assert caught.value.errno == errno.EINVAL


def test_a_machine_whose_number_is_not_known_has_no_bpf(root, monkeypatch):
    """A wrong system call would do anything, so none is made."""
    monkeypatch.setattr(libc, "MACHINE", "pdp11")

    with pytest.raises(OSError, match="bpf") as caught:
        linux.attach_device_program(root, bytes(8))
    assert caught.value.errno == errno.ENOSYS
