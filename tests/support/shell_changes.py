"""Sequences of shell commands that change a small tree, each by its number, for real containers.

`layers` make an image with a tree for each sequence and a program that runs them all, each in its
own tree: to start a container takes longer than what is done in it.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from support import images
from support.tars import archive, character, directory, fifo, file, symlink, whiteout

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SEED = 1
PROGRAM = "sh /changes"
TOOLS = ("chown", "mkfifo", "mknod", "setfattr", "tr", "truncate")
"""What the sequences call beyond what `images.sample_layer` has."""
CAPABILITY = b"\x01\x00\x00\x02\x00\x20" + bytes(14)
_FILES = ("a", "b", "d/x", "d/y", "d/e/z", "d/e/k", "n/q", "k")
_FOLDERS = ("d", "d/e", "n", "empty", "new")
_OTHERS = ("l", "p", "c", "gone", "gone/f", "d/new", "new/f", "other")
_PATHS = (*_FILES, *_FILES, *_FOLDERS, *_OTHERS)
# A fifo would wait for whoever reads; through a symlink a command changes something else.
_FUNCTIONS = """\
exec 2>/dev/null
plain() { [ -f "$1" ] && [ ! -L "$1" ]; }
write() { [ -p "$1" ] || echo "$2" > "$1"; }
append() { [ -p "$1" ] || echo "$2" >> "$1"; }
again() { plain "$1" && cp -p "$1" tmp && cat tmp > "$1" && touch -r tmp "$1"; rm -f tmp; }
other() { plain "$1" && cp -p "$1" tmp && tr a-y b-z < tmp > "$1" && touch -r tmp "$1"; rm -f tmp; }
grown() { plain "$1" && cp -p "$1" tmp && echo x >> "$1" && touch -r tmp "$1"; rm -f tmp; }
copied() { plain "$1" && cp -a "$1" tmp && mv -f -T tmp "$1"; rm -f tmp; }
aim() {
    [ -L "$1" ] || return
    time=$(stat -c %Y "$1"); ln -s -f -n -T "$2" "$1"; touch -h -d "@$time" "$1"
}
"""


def sequence(number: int) -> list[str]:
    """The commands of that number; the same ones every time."""
    chance = random.Random(f"{SEED} {number}")
    found: list[str] = []
    for _ in range(chance.randint(3, 8)):
        command = chance.choice(_COMMANDS)(chance)
        # One of two names that is copied on its way would be a file of its own: whether it is
        # copied is the driver's choice.
        if command.startswith("mv") and any(each.startswith("ln -f") for each in found):
            continue
        found.append(command)
    return found


def layers(sequences: Sequence[Sequence[str]]) -> list[bytes]:
    """The image in two layers, of which the second deletes and replaces; `PROGRAM` does it all."""
    numbers = range(len(sequences))
    program = _FUNCTIONS + "".join(
        f"cd /s{number}\n" + "".join(f"{command}\n" for command in commands)
        for number, commands in enumerate(sequences)
    )
    return [
        images.sample_layer(TOOLS),
        archive(file("changes", f"{program}true\n"), *map(_below, numbers)),
        archive(*map(_above, numbers)),
    ]


def _below(number: int) -> bytes:
    root = f"s{number}"
    capable = {"SCHILY.xattr.security.capability": CAPABILITY}
    return b"".join(
        (
            directory(f"{root}/"),
            file(f"{root}/a", "alpha"),
            file(f"{root}/b", "old"),
            symlink(f"{root}/l", "a"),
            fifo(f"{root}/p"),
            character(f"{root}/c", 1, 3),
            file(f"{root}/k", "capable", mode=0o755, pax=capable),
            directory(f"{root}/d/", 0o750, uid=5),
            file(f"{root}/d/x", "text in x", mode=0o4755),
            file(f"{root}/d/y", "", mode=0o600, uid=7, gid=8),
            directory(f"{root}/d/e/"),
            file(f"{root}/d/e/z", "zet" * 100, pax={"mtime": "1000000000.25"}),
            file(f"{root}/d/e/k", "kept", pax={"SCHILY.xattr.user.k": "v"}),
            directory(f"{root}/empty/"),
            directory(f"{root}/gone/"),
            file(f"{root}/gone/f"),
        )
    )


def _above(number: int) -> bytes:
    root = f"s{number}"
    return b"".join(
        (
            file(f"{root}/b", "beta, newer"),
            whiteout(f"{root}/gone"),
            directory(f"{root}/n/"),
            file(f"{root}/n/q", "question"),
        )
    )


def _one_of(*forms: str) -> Callable[[random.Random], str]:
    """One of these forms: `{p}` and `{q}` are any paths, `{f}` a file and `{d}` a folder at first."""

    def command(chance: random.Random) -> str:
        return chance.choice(forms).format(
            p=chance.choice(_PATHS),
            q=chance.choice(_PATHS),
            f=chance.choice(_FILES),
            d=chance.choice(_FOLDERS),
            word=chance.choice(("alpha", "other", "kept", "some more words")),
            mode=chance.choice(("600", "644", "755", "4755", "2750", "1777")),
            owner=chance.choice(("0:0", "5:6", "7:8")),
            size=chance.choice((0, 4, 5, 300, 5000)),
            time=chance.choice(("1000000000", "1000000000.25", "1000000000.75", "1", "2000000000")),
            minor=chance.choice((3, 5)),
            target=chance.choice(("a", "b", "d", "p", "nowhere")),
        )

    return command


_COMMANDS = (
    _one_of("write {p} {word}", "append {p} {word}", "write {f} {word}"),
    _one_of("truncate -s {size} {p}", "truncate -s {size} {f}"),
    _one_of("chmod {mode} {p}", "chmod {mode} {d}", "chmod $(stat -c %a {p}) {p}"),
    _one_of("chown -h {owner} {p}", "chown -h $(stat -c %u:%g {p}) {p}"),
    _one_of("mv -f -T {p} {q}", "mv -f -T {d} {q}", "mv {f} {d}"),
    _one_of("mv -T {d} away; mv -T away {d}", "mv -T {f} away; mv -T away {f}"),
    _one_of("rm -f {f}", "rm -r -f {p}", "rm -r -f {d}"),
    _one_of("rmdir {d}; mkdir {d}", "rm -r {d} && mkdir {d}", "mkdir {p}"),
    _one_of("mkdir new; write new/f {word}", "mkdir -p {d}/m/n; write {d}/m/n/f {word}"),
    _one_of("rm -r -f {d} && write {d} {word}", "rm -f {f} && mkdir {f} && write {f}/in {word}"),
    _one_of("ln -f -T {f} {f}.name", "ln -f -T {f} {f}.name; write {f}.name {word}"),
    _one_of("ln -s -f -n -T {target} {p}", "ln -s -f -n -T {target} l", "aim l {target}"),
    _one_of("mkfifo {p}", "rm -f {f} && mkfifo {f}", "mknod {p} c 1 3"),
    _one_of("rm c && mknod -m 644 c c 1 {minor} && touch -h -d @1000000000 c"),
    _one_of("touch -h {p}", "touch -h -d @{time} {p}", "touch -h -d @{time} {f}"),
    _one_of("write {d}/tmp x; rm {d}/tmp", "mkdir {d}/tmp; rmdir {d}/tmp"),
    _one_of("again {f}", "copied {f}", "other {f}", "grown {f}"),
    _one_of("setfattr -h -n user.k -v v {f}", "setfattr -h -n user.k -v w {p}"),
    _one_of("setfattr -h -x user.k d/e/k", "setfattr -h -x security.capability k"),
)
