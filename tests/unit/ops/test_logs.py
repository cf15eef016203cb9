"""Logs come back as the program wrote them: in order, on their streams, as many as are wanted."""

from __future__ import annotations

import itertools
import os
import threading

import pytest
from support import homes, tars

from layerkit.errors import NotFoundError
from layerkit.ops import containers
from layerkit.ops.logs import LogOptions, logs
from layerkit.sandbox import log
from layerkit.sandbox.log import PIECE, LogWriter
from layerkit.store.files import Lock

pytestmark = pytest.mark.root
SECOND = 10**9


@pytest.fixture
def container(home, tmp_path):
    """A container called c that was never run."""
    image = homes.load_layers(home, tmp_path / "layout", [tars.archive(tars.file("f"))])
    return homes.create(home, image, name="c")


@pytest.fixture
def folder(home, container):
    """Where its log is."""
    return containers.folder_of(home, container)


@pytest.fixture
def written(folder, monkeypatch):
    """Writes a log: chunks of a stream, a second after each other from 1970 on."""

    def write(*chunks, stream="stdout", **options):
        clock = itertools.count(SECOND, SECOND)
        monkeypatch.setattr("layerkit.sandbox.log.time.time_ns", lambda: next(clock))
        writer = LogWriter(folder, **options)
        for chunk in chunks:
            writer.write(*chunk) if isinstance(chunk, tuple) else writer.write(stream, chunk)
        writer.close()
        monkeypatch.undo()

    return write


def shown(home, **options):
    """What is shown, the streams told apart."""
    found = {"stdout": b"", "stderr": b""}
    for stream, data in logs(home, "c", LogOptions(**options)):
        found[stream] += data
    return found["stdout"], found["stderr"]


def text(home, **options):
    """What is shown of the standard output."""
    return shown(home, **options)[0]


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [b"a\nb\n"],
        [b"prompt$ "],
        [b"a\r\nb\r\n"],
        [b"\xff\0 F \x1b[0m\n", b"\n\n"],
        [b"x" * (3 * PIECE + 5), b"y\n", b"z" * PIECE + b"\n"],
        [b"a\n" * 200_000],
    ],
    ids=["nothing", "lines", "no-end", "tty", "binary", "long", "many"],
)
def test_bytes_come_back(home, written, chunks):
    """RT-L05: every byte of the program comes back, nothing more."""
    written(*chunks)

    assert text(home) == b"".join(chunks)


def test_streams_keep_their_order(home, written):
    """RT-L05: what went to stderr comes as such, between what went to stdout before and after."""
    written(("stdout", b"1\n"), ("stderr", b"2\n"), ("stderr", b"3\n"), ("stdout", b"4\n"))

    assert list(logs(home, "c", LogOptions())) == [
        ("stdout", b"1\n"),
        ("stderr", b"2\n3\n"),
        ("stdout", b"4\n"),
    ]


def test_an_unknown_container_is_told_at_once(home):
    """Nothing has to be read to know that."""
    with pytest.raises(NotFoundError):
        logs(home, "nobody", LogOptions())


@pytest.mark.parametrize(
    ("count", "wanted"),
    [(0, b""), (1, b"9\n"), (3, b"7\n8\n9\n"), (10, None), (99, None), (None, None)],
)
@pytest.mark.parametrize("max_size", [100, 10_000])
def test_the_tail_is_the_last_lines(home, written, count, wanted, max_size):
    """RT-L05: of any number of files only the last lines are shown."""
    lines = [b"%d\n" % number for number in range(10)]
    written(*lines, max_size=max_size, max_files=9)

    assert text(home, tail=count) == (b"".join(lines) if wanted is None else wanted)


def test_a_line_in_pieces_is_one_of_the_tail(home, written):
    """A long line counts once, one without an end counts, too."""
    long = b"x" * (2 * PIECE + 1)
    written(b"first\n", long + b"\n", b"last")

    assert text(home, tail=1) == b"last"
    assert text(home, tail=2) == long + b"\nlast"
    assert text(home, tail=3) == b"first\n" + long + b"\nlast"


def test_the_tail_does_not_read_all(home, written, monkeypatch):
    """The last lines cost as much as they are, not as the log is."""
    written(b"%0100d\n" % 7 * 50_000)
    sizes = []
    real = os.pread

    def counted(file, size, offset):
        sizes.append(len(found := real(file, size, offset)))
        return found

    monkeypatch.setattr("layerkit.ops.logs.os.pread", counted)

    assert text(home, tail=2) == b"%0100d\n" % 7 * 2
    assert sum(sizes) < 1 << 20


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"since": 3 * SECOND}, b"c\nd\n"),
        ({"since": 3 * SECOND + 1}, b"d\n"),
        ({"until": 2 * SECOND}, b"a\nb\n"),
        ({"since": 2 * SECOND, "until": 3 * SECOND}, b"b\nc\n"),
        ({"since": 9 * SECOND}, b""),
        ({"since": 2 * SECOND, "tail": 1}, b"d\n"),
        ({"until": 2 * SECOND, "tail": 1}, b""),
        ({"until": 2 * SECOND, "follow": True}, b"a\nb\n"),
    ],
    ids=str,
)
def test_times_bound_what_is_shown(home, written, options, wanted):
    """RT-L05: both bounds are included; the tail is taken before, as docker does."""
    written(b"a\n", b"b\n", b"c\n", b"d\n")

    assert text(home, **options) == wanted


def test_timestamps_begin_lines_only(home, written):
    """RT-L05: each line has its time once, in UTC with nine digits, however many pieces it is in."""
    written(b"a\n", b"x" * PIECE, ("stderr", b"e\n"), b"y\n")

    one, two, three = (log.stamp(number * SECOND) for number in (1, 2, 3))
    out, err = shown(home, timestamps=True)
    assert out == one + b" a\n" + two + b" " + b"x" * PIECE + b"y\n"
    assert err == three + b" e\n"


GOOD = b"2026-01-01T00:00:00.000000000Z stdout F good\n"


@pytest.mark.parametrize(
    ("damaged", "wanted"),
    [
        (b"", b""),
        (b"\n", b""),
        (b"\0" * 5000 + b"\n", b""),
        (b"2026-01-01T00:00\n", b""),
        (b"garbage\n", b""),
        (b"2026-01-01T00:00:00.000000000Z stdin F x\n", b""),
        (b"2026-01-01T00:00:00.000000000Z stdout Q x\n", b""),
        (b"2026-01-01T00:00:00.000000000Z stdout F cu\n", b"cu\n"),
        (b"2026-01-01T00:00:00.000000000Z stdout F \n", b"\n"),
        (b"\xff" * 3_000_000 + b"\n", b""),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_damage_costs_no_other_line(home, folder, damaged, wanted):
    """What is no record is left out, what is one shows, and never is there an error."""
    (folder / "log").write_bytes(GOOD + damaged + GOOD)

    assert text(home) == b"good\n" + wanted + b"good\n"
    assert text(home, tail=1) == b"good\n"


@pytest.mark.parametrize("end", [8, 37, 41])
def test_a_cut_end_shows_as_far_as_it_goes(home, folder, end):
    """A record that a crash cut has the text that is there, and no end of a line."""
    (folder / "log").write_bytes(GOOD + GOOD[:end])
    (folder / "log.1").write_bytes(GOOD + GOOD[:end])

    cut = GOOD[40:end]
    assert text(home) == b"good\n" + (cut + b"\n" if end > 40 else b"") + b"good\n" + cut


@pytest.fixture
def followed(home, folder):
    """Follows the log in a thread while the container runs: what came so far, and the end."""

    class Followed:
        def __init__(self):
            self.lock = Lock(folder / "lock")
            self.lock.acquire()
            (folder / "state.json").write_text('{"started": 1.0, "pid": 1}')
            self.came = threading.Semaphore(0)
            self.out = b""
            self.thread = threading.Thread(target=self.follow)

        def follow(self):
            for _, data in self.logs:
                self.out += data
                self.came.release()

        def start(self, **options):
            self.logs = logs(home, "c", LogOptions(follow=True, **options))
            self.thread.start()

        def expect(self, wanted):
            while self.out != wanted:
                assert self.came.acquire(timeout=60), self.out

        def end(self):
            self.lock.release()
            self.thread.join(60)
            assert not self.thread.is_alive()

    made = Followed()
    yield made
    made.lock.release()
    if made.thread.ident:
        made.thread.join(60)


def test_following_ends_with_the_container(followed, folder):
    """RT-L05: what is written appears while the container runs, across rotations, until it ends."""
    writer = LogWriter(folder, max_size=300, max_files=3)
    writer.write("stdout", b"before\n")
    followed.start()
    followed.expect(b"before\n")
    wanted = b"before\n"
    for number in range(50):
        line = b"%060d\n" % number
        writer.write("stdout", line)
        wanted += line
        if number % 5 == 0:
            followed.expect(wanted)
    followed.expect(wanted)
    writer.write("stdout", b"no end")
    writer.close()
    followed.end()

    assert followed.out == wanted + b"no end"


def test_following_waits_for_the_first_line(followed, folder):
    """A container that has written nothing yet is waited for."""
    followed.start()
    writer = LogWriter(folder)
    writer.write("stdout", b"first\n")
    followed.expect(b"first\n")
    writer.close()
    followed.end()


def test_a_container_that_does_not_run_is_not_waited_for(home, written):
    """RT-L05: to follow one that ended shows its log and ends."""
    written(b"a\n")

    assert text(home, follow=True) == b"a\n"
