"""Stacks of layers and the tree that each must show: what whiteouts, replacements and links mean.

The names are those of the rules they stand for: WH whiteouts, TY changes of type, SL symlinks on
the way, NM names, HL hard links, MD metadata, SE attempts to get out.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from support.tars import (
    archive,
    block,
    character,
    directory,
    fifo,
    file,
    hardlink,
    header,
    opaque,
    symlink,
    whiteout,
)


@dataclass(frozen=True, slots=True)
class Case:
    """Layers, lowest first, and the tree they show (see `support.listing`), or a part of the error."""

    name: str
    layers: tuple[bytes, ...]
    tree: str = ""
    error: str = ""


def params(cases: list[Case]) -> list[pytest.param]:
    """The cases for `pytest.mark.parametrize`, under their names."""
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), "two cases have one name"
    return [pytest.param(case, id=case.name) for case in cases]


def marker(name: str) -> bytes:
    """An empty file with this very name."""
    return file(name, b"")


B1 = archive(directory("d/"), file("d/a"), directory("d/s/"), file("d/s/f"), file("top"))
B2 = archive(
    directory("d/"),
    file("d/a"),
    file("top"),
    symlink("sl", "d"),
    symlink("abs", "/d"),
    symlink("dang", "/nope/x"),
    symlink("up", "../../../d"),
)
LINKS = "sl -> d\n abs -> /d\n dang -> /nope/x\n up -> ../../../d\n"
"""The symlinks of B2."""


def on_b1(name: str, *entries: bytes, tree: str = "", error: str = "") -> Case:
    """B1 with one layer of these entries on top."""
    return Case(name, (B1, archive(*entries)), tree, error)


def on_b2(name: str, *entries: bytes, tree: str = "", error: str = "") -> Case:
    """B2 with one layer of these entries on top."""
    return Case(name, (B2, archive(*entries)), tree, error)


def alone(name: str, *entries: bytes, tree: str = "", error: str = "") -> Case:
    """One layer of these entries."""
    return Case(name, (archive(*entries),), tree, error)


WHITEOUTS = [
    on_b1("WH-01", whiteout("d/a"), tree="d/\n d/s/\n d/s/f = x\n top = x"),
    on_b1("WH-04", directory("d/"), opaque("d"), file("d/n"), tree="d/\n d/n = x\n top = x"),
    on_b1(
        "WH-06 an opaque mark spares what came before it under implied parents",
        file("d/s/new", "n"),
        opaque("d"),
        tree="d/\n d/s/ @0\n d/s/new = n\n top = x",
    ),
    on_b1("WH-08", opaque(""), file("only"), tree="only = x"),
    on_b1("WH-09", file("only"), opaque(""), tree="only = x"),
    on_b1("WH-10", opaque("nodir"), tree="d/\n d/a = x\n d/s/\n d/s/f = x\n top = x"),
    on_b1(
        "WH-11",
        whiteout("top"),
        file("top", "new"),
        tree="d/\n d/a = x\n d/s/\n d/s/f = x\n top = new",
    ),
    on_b1(
        "WH-12",
        file("top", "new"),
        whiteout("top"),
        tree="d/\n d/a = x\n d/s/\n d/s/f = x\n top = new",
    ),
    on_b1("WH-13", whiteout("d"), directory("d/"), file("d/n"), tree="d/\n d/n = x\n top = x"),
    on_b1("WH-14", whiteout("d"), file("d/new"), tree="d/ @0\n d/new = x\n top = x"),
    on_b1("WH-15", directory("d/"), file("d/new"), whiteout("d"), tree="d/\n d/new = x\n top = x"),
    on_b1("WH-16", whiteout("d"), whiteout("d/a"), tree="top = x"),
    on_b1("WH-17", whiteout("d/a"), whiteout("d"), tree="top = x"),
    on_b1(
        "WH-18",
        directory("d/"),
        whiteout("d/a"),
        opaque("d"),
        file("d/n"),
        whiteout("d/s"),
        tree="d/\n d/n = x\n top = x",
    ),
    on_b1(
        "WH-19",
        opaque("d"),
        file("d/s/n"),
        whiteout("d/s/f"),
        tree="d/\n d/s/ @0\n d/s/n = x\n top = x",
    ),
    alone(
        "WH-20",
        file("a"),
        whiteout("zz"),
        directory("d/"),
        opaque("d"),
        whiteout("d/q"),
        tree="a = x\n d/",
    ),
    Case("WH-21 two layers", (archive(file("a", "1")), archive(whiteout("a"))), ""),
    Case(
        "WH-21",
        (archive(file("a", "1")), archive(whiteout("a")), archive(file("a", "3"))),
        "a = 3",
    ),
    Case(
        "WH-23",
        (
            archive(directory("d/", 0o711), file("d/x")),
            archive(whiteout("d")),
            archive(file("d/y")),
        ),
        "d/ @0\n d/y = x",
    ),
    Case(
        "WH-24 names with a dot in front",
        (archive(file(".bay/x"), file(".baz")), archive(whiteout(".bay"), whiteout(".baz"))),
        "",
    ),
    Case(
        "WH-24 layer by layer",
        (
            archive(
                file(".baz"),
                directory("bar/"),
                file("bar/bax"),
                directory("bar/bay/"),
                file("foo"),
            ),
            archive(whiteout("bar/bax")),
            archive(file(".bay"), directory("bar/"), whiteout(".baz"), whiteout("foo")),
            archive(whiteout(".bay"), file(".baz/x")),
        ),
        "bar/\n bar/bay/\n .baz/ @0\n .baz/x = x",
    ),
    on_b1("WH-26 directory", directory(".wh.d/"), file("z"), tree="top = x\n z = x"),
    on_b1("WH-26 symlink", symlink(".wh.d", "zzz"), file("z"), tree="top = x\n z = x"),
    on_b1(
        "WH-26 hard link",
        file("q"),
        hardlink(".wh.d", "q"),
        file("z"),
        tree="q = x\n top = x\n z = x",
    ),
    on_b1("WH-26 with content", file(".wh.d", "payload"), file("z"), tree="top = x\n z = x"),
    on_b1("WH-27", file(".wh.d/some"), error="whiteout name used as a folder"),
    *(
        on_b1(f"WH-28 {name}", marker(name), error=f"invalid whiteout '{name}'")
        for name in ("d/.wh.", "d/.wh..", "d/.wh...", ".wh.", ".wh..", ".wh...")
    ),
    on_b1("WH-29", marker("d/s/../.wh.a"), error="unsafe name 'd/s/../.wh.a'"),
    on_b2("WH-30", whiteout("sl/a"), tree=LINKS + "d/\n top = x"),
    on_b2("WH-31", opaque("sl"), tree=LINKS + "d/\n top = x"),
    on_b2(
        "WH-32",
        whiteout("sl"),
        tree="d/\n d/a = x\n top = x\n abs -> /d\n dang -> /nope/x\n up -> ../../../d",
    ),
    on_b2("WH-33", whiteout("dang/etc"), tree=LINKS + "d/\n d/a = x\n top = x"),
    alone(
        "WH-35",
        directory(".wh..wh.plnk/"),
        file(".wh..wh.plnk/1.2", "data"),
        marker(".wh..wh.aufs"),
        directory(".wh..wh.orph/"),
        file("a"),
        tree="a = x",
    ),
    alone(
        "WH-36",
        file(".wh..wh.plnk/1.2", "data"),
        hardlink("h", ".wh..wh.plnk/1.2"),
        error="hard link to '.wh..wh.plnk/1.2', which is not there (entry 'h' of layer 1)",
    ),
    Case(
        "WH-37",
        (
            archive(directory("d/", 0o711, uid=7, gid=8, mtime=5), file("d/a")),
            archive(whiteout("d/a", mtime=9)),
        ),
        "d/ 0711 7:8 @5",
    ),
    on_b1(
        "a whiteout of what is not there",
        whiteout("no"),
        whiteout("no/such"),
        whiteout("top/in"),
        tree="d/\n d/a = x\n d/s/\n d/s/f = x\n top = x",
    ),
    on_b1(
        "an opaque mark on a file hides nothing",
        opaque("top"),
        tree="d/\n d/a = x\n d/s/\n d/s/f = x\n top = x",
    ),
    on_b2(
        # overlayfs makes a folder opaque that takes the place of a symlink.
        "an opaque folder in place of a symlink leaves alone where that led",
        directory("sl/"),
        opaque("sl"),
        file("sl/n"),
        tree="d/\n d/a = x\n top = x\n abs -> /d\n dang -> /nope/x\n up -> ../../../d\n"
        "sl/\n sl/n = x",
    ),
    on_b2(
        "a whiteout in a folder in place of a symlink, too",
        whiteout("sl/a"),
        directory("sl/"),
        tree="d/\n d/a = x\n top = x\n abs -> /d\n dang -> /nope/x\n up -> ../../../d\n sl/",
    ),
    on_b2(
        "a whiteout below a symlink that goes away with it",
        whiteout("sl/a"),
        whiteout("sl"),
        tree="d/\n d/a = x\n top = x\n abs -> /d\n dang -> /nope/x\n up -> ../../../d",
    ),
    on_b2(
        "the new symlink of a layer leads its own whiteouts nowhere",
        symlink("new", "d"),
        whiteout("new/a"),
        tree=LINKS + "d/\n d/a = x\n top = x\n new -> d",
    ),
]

TYPES = [
    on_b2("TY-01", file("d", "now file"), tree=LINKS + "d = 'now file'\n top = x"),
    on_b2(
        "TY-03",
        directory("sl/"),
        file("sl/x"),
        tree="d/\n d/a = x\n top = x\n abs -> /d\n dang -> /nope/x\n up -> ../../../d\n"
        "sl/\n sl/x = x",
    ),
    on_b2(
        "TY-05",
        file("sl", "reg"),
        tree="d/\n d/a = x\n top = x\n abs -> /d\n dang -> /nope/x\n up -> ../../../d\n sl = reg",
    ),
    on_b2(
        "TY-06",
        symlink("sl", "top"),
        tree="d/\n d/a = x\n top = x\n abs -> /d\n dang -> /nope/x\n up -> ../../../d\n sl -> top",
    ),
    on_b2("TY-07", file("top/in"), tree=LINKS + "d/\n d/a = x\n top/ @0\n top/in = x"),
    alone(
        "TY-08",
        file("nd"),
        file("nd/foo/bar/baz"),
        tree="nd/ @0\n nd/foo/ @0\n nd/foo/bar/ @0\n nd/foo/bar/baz = x",
    ),
    Case(
        "TY-10",
        (archive(file("f", "1", pax={"SCHILY.xattr.user.a": "1"})), archive(file("f", "2"))),
        "f = 2",
    ),
    Case("TY-11 to file", (archive(fifo("p")), archive(file("p", "x"))), "p = x"),
    Case("TY-11 to fifo", (archive(file("p", "x")), archive(fifo("p"))), "p |"),
    Case(
        "TY-12",
        (
            archive(directory("a/"), file("a/f")),
            archive(file("a", "1")),
            archive(directory("a/"), file("a/g")),
        ),
        "a/\n a/g = x",
    ),
    Case(
        "a folder, a whiteout and a folder again",
        (
            archive(directory("a/"), file("a/f")),
            archive(whiteout("a")),
            archive(directory("a/"), file("a/g")),
        ),
        "a/\n a/g = x",
    ),
    alone(
        "devices and a fifo",
        character("c", 1, 3, mode=0o666),
        block("b", 8, 1, uid=0, gid=6),
        fifo("p", mode=0o600),
        character("big", 4095, (1 << 20) - 1),
        tree="c c 1:3 0666\n b b 8:1 0:6\n p | 0600\n big c 4095:1048575",
    ),
    Case(
        "a device becomes a folder",
        (archive(character("c", 1, 3)), archive(directory("c/"), file("c/x"))),
        "c/\n c/x = x",
    ),
]


def _chain(length: int) -> bytes:
    """A file behind so many symlinks, one leading to the next."""
    links = (symlink(f"l{number}", f"l{number + 1}") for number in range(1, length))
    return archive(*links, symlink(f"l{length}", "d"), file("l1/x"))


SYMLINKS = [
    on_b2(
        "SL-02",
        file("sl/n1"),
        file("abs/n2"),
        file("up/n3"),
        tree=LINKS + "d/\n d/a = x\n d/n1 = x\n d/n2 = x\n d/n3 = x\n top = x",
    ),
    on_b2(
        "SL-03",
        file("dang/n1"),
        tree=LINKS + "d/\n d/a = x\n top = x\n nope/ @0\n nope/x/ @0\n nope/x/n1 = x",
    ),
    alone(
        "SL-06",
        directory("etc/"),
        file("etc/emptied", "notempty"),
        symlink("localetc", "/etc"),
        file("localetc/emptied", ""),
        tree="etc/\n etc/emptied = ''\n localetc -> /etc",
    ),
    alone(
        "SL-07",
        directory("foo/"),
        directory("foo/tmp/"),
        file("foo/tmp/b-X", "1"),
        symlink("foo", "/"),
        file("foo/tmp/b-X", "2"),
        directory("foo/"),
        directory("foo/tmp/"),
        file("foo/tmp/b-X", "3"),
        tree="tmp/ @0\n tmp/b-X = 2\n foo/\n foo/tmp/\n foo/tmp/b-X = 3",
    ),
    Case(
        "SL-10",
        (
            archive(
                symlink("a", "r/s"),
                symlink("r", "../root/t"),
                symlink("root/t/s/b", "/../u"),
                symlink("u/c", "."),
                symlink("u/x/y", "../v"),
                symlink("u/v", "/../w"),
            ),
            archive(file("a/b/c/x/y/z")),
        ),
        "a -> r/s\n r -> ../root/t\n root/ @0\n root/t/ @0\n root/t/s/ @0\n root/t/s/b -> /../u\n"
        "u/ @0\n u/c -> .\n u/x/ @0\n u/x/y -> ../v\n u/v -> /../w\n w/ @0\n w/z = x",
    ),
    alone("SL-11", symlink("foo", "foo"), file("foo/x"), error="too many symlinks"),
    Case(
        "SL-11 40 links",
        (_chain(40),),
        "\n".join(f"l{number} -> l{number + 1}" for number in range(1, 40))
        + "\n l40 -> d\n d/ @0\n d/x = x",
    ),
    Case("SL-11 41 links", (_chain(41),), error="too many symlinks on the way"),
    alone(
        "SL-11 a whiteout in a loop hides nothing",
        symlink("foo", "foo"),
        whiteout("foo/x"),
        tree="foo -> foo",
    ),
    alone(
        "SL-12 two steps",
        symlink("d1", ".."),
        symlink("d1/d2", ".."),
        file("d1/d2/x"),
        tree="d1 -> ..\n d2 -> ..\n x = x",
    ),
    alone(
        "SL-12 loophole",
        symlink("loophole", "../sentinel"),
        file("loophole/file"),
        tree="loophole -> ../sentinel\n sentinel/ @0\n sentinel/file = x",
    ),
    alone("SL-15", symlink("s", ""), error="symlink with an invalid target '' (entry 's')"),
    alone(
        "SL-16",
        file("t", mode=0o600),
        symlink("s", "t", mode=0o644),
        tree="t = x 0600\n s -> t",
    ),
    Case(
        "SL-17",
        (archive(directory("d/"), symlink("sl", "d")), archive(directory("sl/"), file("sl/x"))),
        "d/\n sl/\n sl/x = x",
    ),
    alone(
        "a symlink to a file gives way to a folder there",
        file("f"),
        symlink("s", "f"),
        file("s/x"),
        tree="f/ @0\n f/x = x\n s -> f",
    ),
    alone(
        "a folder of a way that was replaced is not written to",
        directory("d/"),
        symlink("s", "d"),
        file("s/1"),
        symlink("s", "e"),
        file("s/2"),
        file("s", "3"),
        file("s/4"),
        tree="d/\n d/1 = x\n e/ @0\n e/2 = x\n s/ @0\n s/4 = x",
    ),
    alone(
        "a way through nothing leads elsewhere when a symlink comes there",
        symlink("s", "/d/e/.."),
        symlink("s/e", "/x/y"),
        file("s/f"),
        tree="s -> /d/e/..\n d/ @0\n d/e -> /x/y\n x/ @0\n x/f = x",
    ),
    alone(
        "a way through nothing is a loop when a symlink to itself comes there",
        symlink("s", "/d/e/.."),
        symlink("s/e", "e"),
        file("s/f"),
        error="too many symlinks on the way",
    ),
]

NAMES = [
    alone(
        "NM-03",
        file("./././a"),
        directory("./e/."),
        file("e//f"),
        file("./x/./g"),
        tree="a = x\n e/\n e/f = x\n x/ @0\n x/g = x",
    ),
    alone("NM-04", file("", "zz"), error="an entry without a name"),
    *(
        alone(
            f"NM-05 {name}",
            directory(name, 0o711, uid=5, gid=6, mtime=777),
            file("./a"),
            tree="/ 0711 5:6 @777\n a = x",
        )
        for name in ("./", "/", ".")
    ),
    Case(
        "NM-05 a later layer",
        (archive(directory("./", 0o700)), archive(file("a")), archive(directory("./", mtime=3))),
        "/ @3\n a = x",
    ),
    alone("NM-06", file("a"), tree="a = x"),
    alone("NM-11", file("A", "1"), file("a", "2"), tree="A = 1\n a = 2"),
    alone("NM-13", file("x/", "data"), file("e/", ""), file("z"), tree="x = data\n e = ''\n z = x"),
    alone(
        "names of any bytes",
        file(b"\xff\xfe"),
        file("a b"),
        file("-rf"),
        file("a:b,c\\d"),
        tree="'\udcff\udcfe' = x\n 'a b' = x\n 'a:b,c\\d' = x\n -rf = x",
    ),
]

HARD_LINKS = [
    alone(
        "HL-01",
        file("a", "1"),
        hardlink("b", "a"),
        hardlink("c", "./a"),
        hardlink("dd", "/a"),
        tree="a = 1\n b == a\n c == a\n dd == a",
    ),
    alone("HL-02", file("a"), hardlink("h", "../../../a"), error="unsafe name '../../../a'"),
    alone(
        "HL-03",
        hardlink("b", "a"),
        file("a", "1"),
        error="hard link to 'a', which is not there (entry 'b' of layer 1)",
    ),
    alone(
        "HL-06",
        directory("etc/", 0o770),
        symlink("lp", "/etc/passwd"),
        hardlink("dup", "lp"),
        file("etc/passwd", "after"),
        tree="etc/ 0770\n etc/passwd = after\n lp -> /etc/passwd\n dup == lp",
    ),
    alone("HL-07", directory("d/"), hardlink("h", "d"), error="'d', which is a folder"),
    alone("HL-08", file("a", "1"), hardlink("a", "a"), tree="a = 1"),
    alone(
        "HL-09",
        directory("d/"),
        file("d/a", "1"),
        symlink("sd", "/d"),
        hardlink("h", "sd/a"),
        tree="d/\n d/a = 1\n sd -> /d\n h == d/a",
    ),
    Case(
        "HL-10",
        (archive(directory("d/"), file("d/a", "AAA")), archive(hardlink("h", "d/a"))),
        "d/\n d/a = AAA\n h == d/a",
    ),
    Case(
        "HL-10 with a third name below",
        (
            archive(directory("d/", 0o700), file("d/a", "AAA"), hardlink("d/b", "d/a")),
            archive(file("n")),
            archive(hardlink("h", "d/b")),
        ),
        "d/ 0700\n d/a = AAA\n d/b == d/a\n h == d/a\n n = x",
    ),
    Case(
        "HL-11",
        (
            archive(directory("d/"), file("d/a", "AAA")),
            archive(whiteout("d/a"), hardlink("h", "d/a")),
        ),
        error="hard link to 'd/a', which is not there (entry 'h' of layer 2)",
    ),
    Case(
        "HL-12",
        (archive(file("top", "TTT")), archive(hardlink("h", "top"), file("top", "NEW"))),
        "h = TTT\n top = NEW",
    ),
    alone("HL-15", file("a", "1"), hardlink("b", "a"), file("b", "22"), tree="a = 1\n b = 22"),
    alone(
        "HL-16",
        file("a", "1"),
        hardlink("b", "a", mode=0o4755, uid=7, gid=8, mtime=5),
        tree="a = 1 04755 7:8 @5\n b == a",
    ),
    Case(
        "HL-16 a lower layer's file keeps its metadata",
        (archive(file("a", "1")), archive(hardlink("b", "a", mode=0o4755, uid=7, mtime=5))),
        "a = 1\n b == a",
    ),
    alone("HL-19", hardlink("h", "/etc/passwd"), error="'etc/passwd', which is not there"),
    alone(
        "HL-21",
        symlink("esc", "../../outside"),
        hardlink("h", "esc/victim"),
        file("h", "OWNED"),
        error="hard link to 'esc/victim', which is not there",
    ),
    Case(
        "one name of a lower group is replaced",
        (archive(file("a", "1"), hardlink("b", "a")), archive(file("b", "2"))),
        "a = 1\n b = 2",
    ),
    Case(
        "one name of a lower group is hidden",
        (
            archive(file("a", "1"), hardlink("b", "a"), hardlink("c", "a")),
            archive(whiteout("a")),
        ),
        "b = 1\n c == b",
    ),
    Case(
        "hard links to a device and to a fifo",
        (
            archive(character("c", 1, 3), fifo("p"), hardlink("p2", "p")),
            archive(hardlink("d/c2", "c")),
        ),
        "c c 1:3\n d/ @0\n d/c2 == c\n p |\n p2 == p",
    ),
]

METADATA = [
    alone("MD-01", file("a", "1"), file("a", "22"), tree="a = 22"),
    alone("MD-02 to folder", file("a", "1"), directory("a/"), file("a/x"), tree="a/\n a/x = x"),
    alone("MD-02 to file", directory("a/"), file("a/x"), file("a", "1"), tree="a = 1"),
    alone(
        "MD-04",
        directory("a/", 0o700),
        file("a/x"),
        directory("a/", 0o755),
        tree="a/ 0755\n a/x = x",
    ),
    Case(
        "MD-06 MD-07",
        (
            archive(directory("d/", 0o711, uid=7, gid=8, mtime=5), file("d/x")),
            archive(file("d/y")),
        ),
        "d/ 0711 7:8 @5\n d/x = x\n d/y = x",
    ),
    alone(
        "MD-08",
        directory("d/", mtime=1000),
        file("d/a", mtime=2000),
        file("d/b", mtime=3000),
        tree="d/ @1000\n d/a = x @2000\n d/b = x @3000",
    ),
    alone(
        "MD-10",
        directory("d/", 0o500),
        file("d/a"),
        directory("d/e/", 0),
        file("d/e/f"),
        tree="d/ 0500\n d/a = x\n d/e/ 0000\n d/e/f = x",
    ),
    alone("MD-13", file("a", mode=0o100644), tree="a = x 0644"),
    alone(
        "MD-18",
        file("a", mtime=-100),
        file("b", pax={"mtime": "-1.5"}),
        tree="a = x @-100\n b = x @-1.5",
    ),
    alone(
        "MD-20", file("a", mtime=b" " * 12), file("b", mtime=bytes(12)), tree="a = x @0\n b = x @0"
    ),
    alone("MD-22", file("a", pax={"atime": "5", "mtime": "7"}), tree="a = x @7"),
    alone(
        "special bits",
        file("u", mode=0o4755, uid=3),
        file("g", mode=0o2755, gid=4),
        directory("t/", 0o1777),
        tree="u = x 04755 3:0\n g = x 02755 0:4\n t/ 01777",
    ),
    alone("XA-01", file("u", pax={"SCHILY.xattr.user.k": "v"}), tree="u = x user.k=v"),
    alone("XA-04", file("u", pax={"SCHILY.xattr.user.k": ""}), tree="u = x user.k="),
    alone(
        "XA-06",
        file("u", pax={"SCHILY.xattr.trusted.foo": "v"}),
        tree="u = x trusted.foo=v",
    ),
    alone(
        "XA-09",
        directory(
            "d/",
            pax={
                "SCHILY.xattr.trusted.overlay.opaque": "y",
                "SCHILY.xattr.trusted.overlay.redirect": "/secret",
                "SCHILY.xattr.user.overlay.opaque": "y",
                "SCHILY.xattr.user.k": "v",
            },
        ),
        tree="d/ user.k=v",
    ),
    Case(
        "XA a folder's xattrs are those of its last entry",
        (
            archive(directory("d/", pax={"SCHILY.xattr.user.a": "1"}), file("d/x")),
            archive(file("d/y")),
            archive(directory("d/", pax={"SCHILY.xattr.user.b": "2"})),
        ),
        "d/ user.b=2\n d/x = x\n d/y = x",
    ),
    alone(
        "XA-15",
        file(
            "u",
            pax={
                "SCHILY.xattr.user.rootlesscontainers": "\x08\x07",
                "SCHILY.xattr.user.containers.override_stat": "0:0:4755",
                "SCHILY.xattr.user.k": "v",
            },
        ),
        tree="u = x user.k=v",
    ),
    on_b1("DV-03", character("top", 0, 0), error="character device 0:0"),
    alone(
        "PY-11 what tarfile's filters strip, refuse or rewrite",
        file("su", mode=0o6755, uid=7, gid=8),
        symlink("abs", "/etc/passwd", uid=7),
        symlink("up", "../../x"),
        character("null", 1, 3, mode=0o666),
        directory("d/", 0o1777, gid=8),
        tree="su = x 06755 7:8\n abs -> /etc/passwd 7:0\n up -> ../../x\n null c 1:3 0666\n d/ 01777 0:8",
    ),
    alone(
        "PY-14 mode and xattrs of a symlink are not its target's",
        file("t", mode=0o600, pax={"SCHILY.xattr.trusted.k": "of the file"}),
        symlink("s", "t", mode=0o777, uid=5, pax={"SCHILY.xattr.trusted.k": "of the link"}),
        tree="t = x 0600 'trusted.k=of the file'\n s -> t 5:0 'trusted.k=of the link'",
    ),
    alone(
        "PY-15 what charliecloud leaves out",
        file(".gitignore"),
        directory(".git/"),
        directory("dev/"),
        block("dev/sda", 8, 0, mode=0o660, gid=6),
        fifo("dev/initctl", mode=0o600),
        file("ping", mode=0o4755, uid=100, gid=101),
        symlink("sh", "/bin/busybox"),
        tree=".gitignore = x\n .git/\n dev/\n dev/sda b 8:0 0660 0:6\n dev/initctl | 0600\n"
        "ping = x 04755 100:101\n sh -> /bin/busybox",
    ),
    Case("no layers", (), ""),
    Case("empty layers", (archive(), B1, archive()), "d/\n d/a = x\n d/s/\n d/s/f = x\n top = x"),
]


def _long_way() -> bytes:
    """CVE-2025-4517: a way that outgrows PATH_MAX behind its symlinks, where realpath gives up."""
    part, steps = "d" * 247, "abcdefghijklmnop"
    entries, path = [], ""
    for step in steps:
        entries.append(directory("x", pax={"path": f"{path}{part}"}))
        entries.append(symlink("x", "x", pax={"path": f"{path}{step}", "linkpath": part}))
        path += part + "/"
    last = "/".join(steps) + "/" + "l" * 254
    entries.append(symlink("x", "x", pax={"path": last, "linkpath": "../" * len(steps)}))
    entries.append(symlink("x", "x", pax={"path": "escape", "linkpath": last + "/.."}))
    return archive(*entries, hardlink("pwn", "escape/sentinel"), file("pwn", "OWNED"))


OUTSIDE = [
    alone(
        "SE-04",
        symlink("outside/also-exists", "/outside/perm400"),
        hardlink("sketchy", "/outside/also-exists", mode=0o777),
        tree="outside/ @0\n outside/also-exists -> /outside/perm400\n sketchy == outside/also-exists",
    ),
    *(
        alone(f"SE-05 {name}", symlink(name, "/outside"), file("f"), error="the root would become")
        for name in (".", "./", "/")
    ),
    Case("SE-06", (_long_way(),), error="too long a way behind its symlinks"),
    alone("SE-08 absolute", hardlink("p", "/etc/shadow"), error="not there"),
    alone("SE-08 up", hardlink("p", "../../../../etc/shadow"), error="unsafe name"),
    alone("SE-08 by symlink", symlink("e", "/etc"), hardlink("p", "e/shadow"), error="not there"),
    *(
        alone(f"SE-09 {name}", directory("d/"), marker(name), error="invalid whiteout")
        for name in (".wh...", ".wh..", "d/.wh...")
    ),
    alone("SE-10 opaque", symlink("x", "/outside"), opaque("x"), tree="x -> /outside"),
    Case(
        "SE-10 in a later layer",
        (
            archive(symlink("x", "../.."), symlink("y", "../sentinel")),
            archive(whiteout("x/sentinel"), whiteout("y/b"), opaque("y")),
        ),
        "x -> ../..\n y -> ../sentinel",
    ),
    alone("SE-10 whiteout", symlink("x", "/outside"), whiteout("x/keep"), tree="x -> /outside"),
    alone("up and away", file("../sentinel", "OWNED"), error="unsafe name '../sentinel'"),
    alone("up in the middle", file("a/../../sentinel"), error="unsafe name"),
    alone("absolute", file("/etc/motd"), tree="etc/ @0\n etc/motd = x"),
    alone("NUL", file("x", pax={"path": "a\0b"}), error="unsafe name 'a\\x00b'"),
    alone("'.wh.' by pax", file("x", pax={"path": ".wh."}), error="invalid whiteout"),
    alone(
        "the type of a whiteout is not looked at",
        header(".wh.a", b"3", device=(0, 0)),
        tree="",
    ),
]

CASES = [*WHITEOUTS, *TYPES, *SYMLINKS, *NAMES, *HARD_LINKS, *METADATA, *OUTSIDE]
TREES = [case for case in CASES if not case.error]
"""The cases that show a tree."""
REFUSED = [case for case in CASES if case.error]
"""The cases that are an error."""
