"""The rules of `--user`, on passwd and group files as bytes."""

from __future__ import annotations

import os

import pytest

from layerkit.errors import SandboxError
from layerkit.sandbox.users import (
    FILE_LIMIT,
    Group,
    Identity,
    User,
    identify,
    parse_group,
    parse_passwd,
    read_file,
)

PASSWD = b"""\
root:x:0:0:root:/root:/bin/sh
app:x:1000:1000:App:/home/app:/bin/sh
twin:x:1000:2000::/home/twin:/bin/sh
homeless:x:1001:1001:::
7777:x:5:5::/home/number:
"""
GROUP = b"""\
root:x:0:
wheel:x:10:root,app
app:x:1000:
audio:x:29:app
video:x:44:app,twin
1234:x:77:
"""

CASES = {
    "nobody asked: root with its groups": ("", Identity(0, 0, (0, 10), "/root")),
    "name": ("app", Identity(1000, 1000, (1000, 10, 29, 44), "/home/app")),
    "uid takes the first entry's": ("1000", Identity(1000, 1000, (1000, 10, 29, 44), "/home/app")),
    "second name of a uid": ("twin", Identity(1000, 2000, (2000, 44), "/home/app")),
    "unknown uid": ("4242", Identity(4242, 0, (0,), "/")),
    "name and group": ("app:wheel", Identity(1000, 10, (10,), "/home/app")),
    "name and gid": ("app:50", Identity(1000, 50, (50,), "/home/app")),
    "uid and gid": ("1000:50", Identity(1000, 50, (50,), "/home/app")),
    "unknown uid and group": ("4242:audio", Identity(4242, 29, (29,), "/")),
    "group alone": (":audio", Identity(0, 29, (29,), "/root")),
    "nothing behind the colon": ("app:", Identity(1000, 1000, (1000, 10, 29, 44), "/home/app")),
    "no home": ("homeless", Identity(1001, 1001, (1001,), "/")),
    "a number is a uid, not a name": ("7777", Identity(7777, 0, (0,), "/")),
    "a number is a gid, not a name": ("0:1234", Identity(0, 1234, (1234,), "/root")),
    "highest": ("2147483647:2147483647", Identity(2**31 - 1, 2**31 - 1, (2**31 - 1,), "/")),
}


@pytest.mark.parametrize(("text", "wanted"), CASES.values(), ids=CASES)
def test_identity_follows_the_rules_of_docker(text, wanted):
    """Names need an entry, numbers do not; groups come from the file unless one is named."""
    assert identify(text, parse_passwd(PASSWD), parse_group(GROUP)) == wanted


ERRORS = {
    "unknown name": ("nosuch", "unable to find user nosuch: no matching entries in passwd file"),
    "unknown group": (
        "app:nosuch",
        "unable to find group nosuch: no matching entries in group file",
    ),
    "negative uid": ("-1", "uids and gids must be in range 0-2147483647, got -1"),
    "uid too big": ("2147483648", "must be in range"),
    "gid too big": ("0:4294967295", "must be in range"),
    "not quite a number": ("1_000", "unable to find user 1_000"),
    "digits of another script": ("١٠", "unable to find user"),
}


@pytest.mark.parametrize(("text", "message"), ERRORS.values(), ids=ERRORS)
def test_who_does_not_exist_is_an_error(text, message):
    """An unknown name, or a number out of range, stops the start."""
    with pytest.raises(SandboxError, match=message):
        identify(text, parse_passwd(PASSWD), parse_group(GROUP))


def test_numbers_need_no_files():
    """A root without passwd and group files runs numeric users, and root."""
    assert identify("12:34", [], []) == Identity(12, 34, (34,), "/")
    assert identify("", [], []) == Identity(0, 0, (0,), "/")


MALFORMED = {
    "empty": b"",
    "comment": b"# a:x:0:0::/:\n",
    "too few fields": b"a:x:0:0:x\n",
    "no uid": b"a:x::0::/:\n",
    "uid is no number": b"a:x:zero:0::/:\n",
    "uid has a sign": b"a:x:-1:0::/:\n",
    "gid is no number": b"a:x:0:x::/:\n",
    "no name": b":x:0:0::/:\n",
    "NUL bytes": b"\0\0\0\0\n",
    "endless number": b"a:x:" + b"9" * 5000 + b":0::/:\n",
}


@pytest.mark.parametrize("line", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_user_is_none(line):
    """A line that is not a whole entry never becomes uid 0, and does not hide the next line."""
    assert parse_passwd(line + b"\nok:x:7:8::/h:\n") == [User(b"ok", 7, 8, b"/h")]


def test_group_members_are_a_list():
    """The members of a group are separated by commas; none is no member called nothing."""
    assert parse_group(b"a:x:1:\nb:x:2:x,y\nbad:x:y:z\nshort:x:1\n") == [
        Group(b"a", 1, ()),
        Group(b"b", 2, (b"x", b"y")),
    ]


@pytest.fixture
def root(tmp_path):
    """A descriptor of an empty root directory."""
    descriptor = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def test_an_absolute_link_stays_inside(tmp_path, root):
    """SE-12: a link to an absolute path means that path of the container, as on NixOS-like images."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store/passwd").write_bytes(b"inside")
    (tmp_path / "passwd").symlink_to("/store/passwd")

    assert read_file(root, "/passwd") == b"inside"


def test_a_missing_file_is_empty(tmp_path, root):
    """Neither a missing file nor a file where its folder should be is an error."""
    (tmp_path / "etc").touch()

    assert (read_file(root, "/passwd"), read_file(root, "/etc/passwd")) == (b"", b"")


def test_a_fifo_does_not_hang_the_start(tmp_path, root):
    """SE-12: what is no regular file is refused without being opened."""
    os.mkfifo(tmp_path / "passwd")

    with pytest.raises(SandboxError, match="not a regular file"):
        read_file(root, "/passwd")


def test_an_endless_file_is_refused(tmp_path, root):
    """SE-12: a file may have one MiB, not a byte more."""
    (tmp_path / "passwd").write_bytes(b"\n" * FILE_LIMIT)
    (tmp_path / "group").write_bytes(b"\n" * (FILE_LIMIT + 1))

    assert len(read_file(root, "/passwd")) == FILE_LIMIT
    with pytest.raises(SandboxError, match=f"more than {FILE_LIMIT} bytes"):
        read_file(root, "/group")
