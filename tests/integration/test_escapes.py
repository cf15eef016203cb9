"""No layer, and nobody who meddles meanwhile, makes layerkit touch anything beside the root.

Every archive goes the whole way: `layerkit load`, `layerkit unpack`, and the view of a container.
"""

from __future__ import annotations

import errno
import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from support import overlays, seccomp
from support.homes import layered
from support.layer_cases import Case
from support.listing import wanted
from support.processes import child, outcome
from support.swaps import exchange
from support.tars import (
    archive,
    block,
    character,
    directory,
    fifo,
    file,
    hardlink,
    oci_layout,
    opaque,
    symlink,
    whiteout,
)
from support.trees import differences, scan

from layerkit.cli import main
from layerkit.ops.home import Home
from layerkit.ops.images import find_image

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root


# -- the layers ----------------------------------------------------------------------------------


def link(name, target):
    """A symlink whose name and target may be longer than a header's fields."""
    return symlink("x", "x", pax={"path": name, "linkpath": target})


def hard(name, target, **fields):
    """A hard link whose target may be long."""
    return hardlink("x", "x", pax={"path": name, "linkpath": target}, **fields)


def implied(path):
    """The lines for the folders on the way to `path`, which no entry names."""
    parts = path.strip("/").split("/")[:-1]
    return "\n".join("/".join(parts[: end + 1]) + "/ @0" for end in range(len(parts)))


def xattr(**values):
    """The records of xattrs; `__` in a name stands for a dot."""
    return {f"SCHILY.xattr.{name.replace('__', '.')}": value for name, value in values.items()}


def long_way():
    """The archive of CVE-2025-4517: names that outgrow PATH_MAX where they are resolved."""
    part, steps = "d" * 247, "abcdefghijklmnop"
    entries, path = [], ""
    for step in steps:
        entries += [directory("x", pax={"path": f"{path}{part}"}), link(f"{path}{step}", part)]
        path += f"{part}/"
    last = "/".join(steps) + "/" + "l" * 254
    return [
        *entries,
        link(last, "../" * len(steps)),
        link("escape", f"{last}/.."),
        hard("pwn", "escape/sentinel/victim"),
        file("pwn", "OWNED"),
    ]


def written_outside(out):
    """Attempts to write to the folder `out`, which lies beside the root, or to get hold of it."""
    inside = f"{implied(f'{out}/victim')}\n{out[1:]}"
    ups = "../" * 30
    return [
        one("name that goes up", file("../sentinel/victim", "OWNED"), error="unsafe name"),
        one("name that goes far up", file(f"{ups}{out[1:]}", "OWNED"), error="unsafe name"),
        one("name with .. inside", file("d/../../sentinel/new"), error="unsafe name"),
        one("absolute name", file("x", pax={"path": f"{out}/new"}), tree=f"{inside}/new = x"),
        one(
            "SE-02 below a symlink",
            link("x", out),
            file("x/victim", "OWNED"),
            directory("x/sub", 0o777),
            tree=f"x -> {out}\n {inside}/victim = OWNED\n {out[1:]}/sub/ 0777",
        ),
        Case(
            "SE-02 below a symlink of a lower layer",
            (archive(link("x", out)), archive(file("x/victim", "OWNED"), whiteout("x/keep"))),
            f"x -> {out}\n {inside}/victim = OWNED",
        ),
        one(
            "SE-03 through a symlink in the file's own place",
            link("f", f"{out}/victim"),
            file("f", "OWNED", mode=0o777),
            tree="f = OWNED 0777",
        ),
        one(
            "SE-03 a symlink becomes a folder",
            link("d", out),
            directory("d", 0o777),
            file("d/new"),
            tree="d/ 0777\n d/new = x",
        ),
        one(
            "SE-04 mode of a hard-linked symlink",
            link(f"{out}/also-exists", f"{out}/closed"),
            hard("sketchy", f"{out}/also-exists", mode=0o777, uid=7),
            tree=f"{inside}/also-exists -> {out}/closed 7:0\n sketchy == {out[1:]}/also-exists",
        ),
        *(
            one(f"SE-05 {name!r} as a symlink", link(name, out), file("f"), error="the root would")
            for name in (".", "./", "/", "././")
        ),
        one("SE-06 appendix B", *long_way(), error="too long a way behind its symlinks"),
        one(
            "SL-07 symlink and folder in turn",
            directory("foo/"),
            file("foo/victim", "012"),
            link("foo", out),
            file("foo/victim", "345"),
            directory("foo/"),
            file("foo/victim", "678"),
            tree=f"foo/\n foo/victim = 678\n {inside}/victim = 345",
        ),
        one(
            "SL-12 two steps up",
            symlink("d1", ".."),
            symlink("d1/d2", ".."),
            file("d1/d2/sentinel"),
            tree="d1 -> ..\n d2 -> ..\n sentinel = x",
        ),
        one(
            "SL-12 loophole",
            symlink("loophole", "../sentinel"),
            file("loophole/victim", "OWNED"),
            tree="loophole -> ../sentinel\n sentinel/ @0\n sentinel/victim = OWNED",
        ),
        one(
            "SL-12 a sibling that begins with the root's name",
            symlink("e", "../root-evil"),
            file("e/new"),
            tree="e -> ../root-evil\n root-evil/ @0\n root-evil/new = x",
        ),
        one(
            "SL-16 mode of a symlink",
            symlink("s", "x", mode=0o644, uid=7, pax={"linkpath": f"{out}/closed"}),
            tree=f"s -> {out}/closed 7:0",
        ),
    ]


def ways_through_links():
    """Symlinks that lead round, and where they lead."""
    chain = [symlink(f"l{number}", f"l{number + 1}") for number in range(300)]
    return [
        one(
            "SL-10 chain",
            symlink("a", "r/s"),
            symlink("r", "../root/t"),
            symlink("root/t/s/b", "/../u"),
            symlink("u/c", "."),
            symlink("u/x/y", "../v"),
            symlink("u/v", "/../w"),
            file("a/b/c/x/y/z"),
            tree="""
            a -> r/s
            r -> ../root/t
            root/ @0
            root/t/ @0
            root/t/s/ @0
            root/t/s/b -> /../u
            u/ @0
            u/c -> .
            u/x/ @0
            u/x/y -> ../v
            u/v -> /../w
            w/ @0
            w/z = x
            """,
        ),
        one("SL-11 loop", symlink("foo", "foo"), file("foo/x"), error="too many symlinks"),
        one("SL-11 300 links", *chain, file("l0/x"), error="too many symlinks"),
        Case("TY-11 fifo to file", (archive(fifo("p")), archive(file("p"))), "p = x"),
        Case("TY-11 file to fifo", (archive(file("p")), archive(fifo("p"))), "p |"),
        Case("TY-11 into a fifo", (archive(fifo("p")), archive(file("p/x"))), "p/ @0\n p/x = x"),
    ]


def linked_from_outside(out):
    """Hard links to what is in the folder `out`."""
    there = "which is not there"
    return [
        one("SE-08 HL-19 absolute", hard("p", f"{out}/victim"), error=there),
        one("SE-08 HL-02 up", hard("p", "../sentinel/victim"), error="unsafe name"),
        one("SE-08 far up", hard("p", f"{'../' * 30}{out[1:]}/victim"), error="unsafe name"),
        one("SE-08 below a symlink", link("e", out), hard("p", "e/victim"), error=there),
        one(
            "HL-21 and then written to",
            symlink("esc", "../sentinel"),
            hard("h", "esc/victim"),
            file("h", "OWNED"),
            error=there,
        ),
        one(
            "hard link to a symlink, then written to",
            link("s", f"{out}/victim"),
            hard("h", "s"),
            file("h", "OWNED", mode=0o777),
            tree=f"s -> {out}/victim\n h = OWNED 0777",
        ),
    ]


def deleted_outside(out):
    """Whiteouts that would delete what is in the folder `out`, or the root itself."""
    return [
        *(
            one(f"SE-09 {name}", directory("d/"), file(name, ""), error="invalid whiteout")
            for name in (".wh.", ".wh..", ".wh...", "d/.wh...", "d/.wh..")
        ),
        one("SE-10 opaque", link("x", out), opaque("x"), tree=f"x -> {out}"),
        one("SE-10 whiteout", link("x", out), whiteout("x/keep"), tree=f"x -> {out}"),
        Case(
            "SE-10 in a later layer",
            (
                archive(link("x", out), symlink("y", "..")),
                archive(whiteout("x/keep"), opaque("x"), whiteout("y/sentinel")),
            ),
            f"x -> {out}\n y -> ..",
        ),
        one("whiteout that goes up", whiteout("../sentinel"), error="unsafe name"),
        one("whiteout with a long way", whiteout("d/../../sentinel/keep"), error="unsafe name"),
    ]


def smuggled():
    """Attributes and devices that overlayfs would obey."""
    secret = [directory("secret/", 0o700), file("secret/f", "secret")]
    obeyed = ("opaque", "redirect", "metacopy", "origin", "impure", "nlink", "upper", "uuid")
    names = [f"{space}__overlay__{name}" for space in ("trusted", "user") for name in obeyed]
    escaped = [name.replace("overlay", "overlay__overlay") for name in names]
    everything = xattr(**dict.fromkeys([*names, *escaped], "y"), user__k="v")
    seen = "secret/ 0700\n secret/f = secret\n"
    return [
        *(
            Case(
                f"SE-20 redirect by {space}",
                (
                    archive(*secret),
                    archive(
                        directory("alias/", pax=xattr(**{f"{space}__overlay__redirect": "/secret"}))
                    ),
                ),
                f"{seen} alias/",
            )
            for space in ("trusted", "user")
        ),
        Case(
            "SE-20 metacopy and redirect",
            (
                archive(*secret),
                archive(
                    file(
                        "alias",
                        "",
                        pax=xattr(
                            trusted__overlay__metacopy="", trusted__overlay__redirect="/secret/f"
                        ),
                    )
                ),
            ),
            f"{seen} alias = ''",
        ),
        Case(
            "XA-07 opaque",
            (
                archive(*secret),
                archive(directory("secret/", pax=xattr(trusted__overlay__opaque="y"))),
            ),
            "secret/\n secret/f = secret",
        ),
        Case(
            "XA-09 whiteout",
            (
                archive(*secret),
                archive(
                    directory("secret/", 0o700, pax=xattr(trusted__overlay__opaque="x")),
                    file("secret/f", "", pax=xattr(trusted__overlay__whiteout="y")),
                ),
            ),
            "secret/ 0700\n secret/f = ''",
        ),
        Case(
            "XA-09 XA-10 every name",
            (
                archive(*secret),
                archive(directory("secret/", pax=everything), file("f", pax=everything)),
            ),
            "secret/ user.k=v\n secret/f = secret\n f = x user.k=v",
        ),
        one("XA-06", file("f", pax=xattr(trusted__foo="v")), tree="f = x trusted.foo=v"),
        Case(
            "SE-21 DV-03 device 0:0",
            (archive(file("top")), archive(character("top", 0, 0))),
            error="character device 0:0",
        ),
        *(
            Case(
                f"SE-21 DV-04 device {major}:{minor}",
                (archive(file("top")), archive(character("top", major, minor))),
                error="device number .* is out of range",
            )
            for major, minor in [(2**32, 0), (0, 2**32), (2**32, 2**32), (2**40, 2**50)]
        ),
        one("SE-21 DV-04 block device", block("b", 2**32 + 8, 0), error="is out of range"),
    ]


def one(name, *entries, tree="", error=""):
    """A case of one layer."""
    return Case(name, (archive(*entries),), tree, error)


def cases(out):
    """All cases by name, `out` being the absolute path of the folder to get at."""
    found = [
        *written_outside(out),
        *ways_through_links(),
        *linked_from_outside(out),
        *deleted_outside(out),
        *smuggled(),
    ]
    assert len({case.name for case in found}) == len(found), "two cases have one name"
    return {case.name: case for case in found}


# -- what must not change ------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A folder with a directory to unpack to, and beside it what nobody may touch."""

    folder: Path

    @property
    def root(self):
        """Where to unpack to; not there yet."""
        return self.folder / "root"

    @property
    def sentinel(self):
        """What is to stay as it is."""
        return self.folder / "sentinel"

    def seen(self):
        """All that can be seen of what lies beside the root, times of change included."""
        return {
            path: (_status(path), os.listdir(path) if path.is_dir() else path.read_bytes())
            for path in (self.sentinel, *self.sentinel.rglob("*"), self.folder / "root-evil")
        }


def _status(path):
    status = os.lstat(path)
    times = (status.st_mtime_ns, status.st_ctime_ns)
    owner = (status.st_uid, status.st_gid)
    return status.st_ino, status.st_mode, status.st_nlink, status.st_size, owner, times


@pytest.fixture
def place(tmp_path):
    """A place; afterwards, nothing beside the root has changed and no name was added."""
    place = Place(tmp_path / "work")
    (place.sentinel / "sub").mkdir(parents=True)
    (place.folder / "root-evil").mkdir()
    for name in ("victim", "keep", "closed", "sub/file"):
        (place.sentinel / name).write_text(f"the original {name}")
    (place.sentinel / "closed").chmod(0o400)
    before = place.seen()
    yield place
    assert place.seen() == before
    assert {path.name for path in place.folder.iterdir()} <= {"root", "root-evil", "sentinel"}


@pytest.fixture
def load(cli, tmp_path):
    """Loads an image of these layers."""

    def run(*layers):
        oci_layout(tmp_path / "layout", layers)
        return cli("load", "-q", "-i", tmp_path / "layout")

    return run


# -- the tests -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", cases("/outside"))
def test_a_hostile_layer_stays_inside(cli, load, place, state_root, tmp_path, name):
    """It is refused before anything is written, or it shows the same tree as files and mounted."""
    case = cases(str(place.sentinel))[name]

    loaded = load(*case.layers)

    if case.error:
        assert loaded.code == 4, loaded.err
        assert re.search(case.error, loaded.err)
        assert cli("unpack", "layout:test", place.root).code == 3
        assert not place.root.exists()
        return
    assert loaded.code == 0, loaded.err
    unpacked = cli("unpack", "layout:test", place.root)
    assert (unpacked.code, unpacked.out, unpacked.err) == (0, "", "")
    assert differences(wanted(case.tree), scan(place.root)) == []
    with Home(state_root) as home:
        lowers = layered(home, find_image(home, "layout:test")).lowers
    with overlays.mounted(lowers[1:], tmp_path / "view") as view:
        assert differences(wanted(case.tree), scan(view)) == []
    with overlays.mounted(lowers, tmp_path / "view") as view:
        assert (view / "proc").is_dir()


ENDS = {0, 6}
"""Success, and the one error there may be."""


def swap_for_ever(folder, away, number, count):
    """Put a symlink in the place of a folder and take it away again, each round at its own pace."""
    pause = (0, 0.001, 0.005, 0.02)[number % 4]
    with count.open("wb", buffering=0) as counted:
        while True:
            if exchange(folder, away):
                counted.write(b"x")
                exchange(folder, away)
                time.sleep(pause)


@pytest.fixture
def rounds(request):
    """How often to try: what depends on chance gets more of them in a long run."""
    return 60 if request.config.getoption("--long") else 3


@pytest.mark.timeout(600)
@pytest.mark.parametrize("way", ["openat2", "steps"])
def test_a_folder_that_is_swapped_meanwhile_leads_nowhere(
    load, place, tmp_path, rounds, way, environment
):
    """SL-13, SE-11: what another process does to the directory, no file gets outside.

    Each of 2,000 files is in one of 200 folders, so that the swapped one is passed 400 times.
    """
    files = [file(f"x/{number % 200}/{number}", f"{number}") for number in range(2000)]
    assert load(archive(*files, hardlink("y/last", "x/199/1999"))).code == 0
    away, count = tmp_path / "away", tmp_path / "count"
    away.symlink_to(place.sentinel)

    def unpack(root):
        if way == "steps":
            seccomp.refuse(seccomp.OPENAT2, errno.ENOSYS)
        os._exit(main(["unpack", "layout:test", str(root)]))

    def attempt(number):
        root = tmp_path / f"roots/{number}"
        root.mkdir(parents=True)
        with child(lambda: swap_for_ever(root / "x", away, number, count)):
            code = outcome(lambda: unpack(root))
        if not away.is_symlink():
            exchange(root / "x", away)
        return code, count.stat().st_size

    codes, swaps = zip(*map(attempt, range(rounds)), strict=True)

    assert set(codes) <= ENDS, codes
    assert sum(swaps) >= 1, "nothing was tried"
