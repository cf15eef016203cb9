"""The cache of compiled programs."""

from __future__ import annotations

import os
import sys

import pytest

from layerkit import libseccomp
from layerkit.errors import SandboxError, UsageError
from layerkit.sandbox.seccomp import compiling, programs

CAPABILITIES = ("KILL", "CHOWN")
PROFILE = b'{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}'


@pytest.fixture
def profile(tmp_path):
    """A small profile in a file."""
    path = tmp_path / "profile.json"
    path.write_bytes(PROFILE)
    return path


@pytest.fixture
def compilations(monkeypatch):
    """The names of what has been compiled."""
    names = []
    real = compiling.compile_profile

    def compile_profile(profile, target, name):
        names.append(name)
        return real(profile, target, name)

    monkeypatch.setattr(compiling, "compile_profile", compile_profile)
    return names


def test_a_program_is_compiled_once(tmp_path, compilations):
    """The default profile is compiled for the first container only, in whatever order its names are."""
    cache = tmp_path / "cache" / "seccomp"
    first = programs.find_program(None, CAPABILITIES, cache)
    again = programs.find_program(None, CAPABILITIES[::-1], cache)

    assert (first == again, compilations) == (True, ["default"])
    assert [stat.st_mode & 0o777 for stat in map(os.stat, cache.iterdir())] == [0o600]


def test_whatever_matters_is_in_the_name(tmp_path, profile, compilations, monkeypatch):
    """Another profile, capability, machine, kernel or libseccomp is another program."""
    real = os.uname()
    programs.find_program(None, CAPABILITIES, tmp_path / "c")
    programs.find_program(profile, CAPABILITIES, tmp_path / "c")
    programs.find_program(profile, (), tmp_path / "c")
    with monkeypatch.context() as patch:
        patch.setattr(libseccomp, "version", lambda: "99.0.0")
        programs.find_program(profile, (), tmp_path / "c")
    for machine, release in (("aarch64", real.release), (real.machine, "9.9.9")):
        with monkeypatch.context() as patch:
            changed = os.uname_result((*real[:2], release, real.version, machine))
            patch.setattr(os, "uname", lambda changed=changed: changed)
            programs.find_program(profile, (), tmp_path / "c")

    assert (len(compilations), len(list((tmp_path / "c").iterdir()))) == (6, 6)


@pytest.mark.parametrize(
    "harm",
    [
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:-8]),
        lambda file: file.write_bytes(file.read_bytes()[:-1] + b"\x01"),
        lambda file: file.write_bytes(bytes(32) + bytes(4096 * 8 + 8)),
        lambda file: file.chmod(0o666),
        lambda file: file.chmod(0o620),
        lambda file: (file.unlink(), os.mkfifo(file)),
        lambda file: file.rename(file.with_name("x")) and file.symlink_to("x"),
        pytest.param(lambda file: os.chown(file, 1000, 1000), marks=pytest.mark.root),
    ],
    ids=[
        "empty", "short", "changed", "long", "writable by all", "writable by a group",
        "a pipe", "a link", "of somebody else",
    ],
)  # fmt: skip
def test_a_doubtful_file_is_compiled_again(tmp_path, profile, compilations, harm):
    """What is damaged, or could have been written by somebody else, is not used but replaced."""
    cache = tmp_path / "c"
    first = programs.find_program(profile, (), cache)
    file = next(cache.iterdir())
    harm(file)

    assert programs.find_program(profile, (), cache) == first
    assert (len(compilations), programs.find_program(profile, (), cache)) == (2, first)
    assert len(compilations) == 2


def test_a_program_under_another_name_is_none(tmp_path, profile):
    """A whole program that lies where another is looked for is not taken for it."""
    strict, cache = programs.find_program(None, (), tmp_path / "c"), tmp_path / "c"
    file = next(cache.iterdir())
    loose = programs.find_program(profile, (), cache)
    other = next(each for each in cache.iterdir() if each != file)
    other.replace(file)

    assert (programs.find_program(None, (), cache), strict != loose) == (strict, True)


def test_without_a_cache_it_works_all_the_same(tmp_path, profile):
    """A cache that cannot be written to is no reason to fail."""
    (tmp_path / "file").touch()

    assert programs.find_program(profile, (), tmp_path / "file" / "cache")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"cannot read seccomp profile .*: No such file"),
        (b"{", r"invalid seccomp profile .*profile.json: not JSON"),
        (b" " * ((1 << 20) + 1), "too long: at most 1048576 bytes allowed"),
    ],
    ids=["missing", "no JSON", "too long"],
)
def test_a_file_that_is_no_profile_is_refused(tmp_path, content, message):
    """The error names the file, and nothing goes into the cache."""
    path = tmp_path / "profile.json"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(UsageError, match=message):
        programs.find_program(path, (), tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_without_libseccomp_there_is_a_way_out(tmp_path, monkeypatch):
    """Where the library is missing, the error says what to install or to ask for."""
    monkeypatch.setitem(sys.modules, "layerkit.libseccomp", None)
    monkeypatch.delattr("layerkit.libseccomp")
    monkeypatch.setattr("ctypes.CDLL", _missing)
    monkeypatch.delitem(sys.modules, "layerkit.libseccomp")

    with pytest.raises(SandboxError, match=r"libseccomp.so.2 is not installed") as caught:
        programs.find_program(None, (), tmp_path)
    assert caught.value.hint == "install libseccomp2, or --security-opt seccomp=unconfined"


def _missing(name, **_options):
    raise OSError(f"{name}: cannot open shared object file: No such file or directory")
