"""A container's log keeps every byte in order, stays small, and never disturbs the container."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

import pytest

from layerkit.sandbox import log
from layerkit.sandbox.log import PIECE, LogWriter

RECORD = re.compile(
    rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9}Z (stdout|stderr) ([FP]) (.*)\n",
    re.DOTALL,
)


@pytest.fixture
def writer(tmp_path):
    """A log in a new folder."""
    made = LogWriter(tmp_path)
    yield made
    made.close()


def records(folder, name="log"):
    """The records of a file: stream, tag and text."""
    lines = (folder / name).read_bytes().splitlines(keepends=True)
    # Only a line feed ends a record.
    joined = b"".join(lines).split(b"\n")[:-1]
    return [RECORD.fullmatch(line + b"\n").groups() for line in joined]


@pytest.mark.parametrize(
    ("chunks", "wanted"),
    [
        ([b"a\n"], [(b"F", b"a")]),
        ([b"a\nb\n\n"], [(b"F", b"a"), (b"F", b"b"), (b"F", b"")]),
        ([b"a", b"b", b"c\nd", b"e\n"], [(b"F", b"abc"), (b"F", b"de")]),
        ([b"a\r\n\r", b"\n"], [(b"F", b"a\r"), (b"F", b"\r")]),
        ([b"\xff\0\x1b[1m \xe2\n"], [(b"F", b"\xff\0\x1b[1m \xe2")]),
        ([b"no end"], [(b"P", b"no end")]),
        ([b"a\nno end"], [(b"F", b"a"), (b"P", b"no end")]),
        ([b"", b"a\n", b""], [(b"F", b"a")]),
        ([b"x" * PIECE + b"\n"], [(b"F", b"x" * PIECE)]),
        ([b"x" * PIECE, b"\n"], [(b"P", b"x" * PIECE), (b"F", b"")]),
        ([b"x" * (PIECE + 1) + b"\n"], [(b"P", b"x" * PIECE), (b"F", b"x")]),
        (
            [b"x" * 2 * PIECE + b"y", b"z\na\n"],
            [(b"P", b"x" * PIECE), (b"P", b"x" * PIECE), (b"F", b"yz"), (b"F", b"a")],
        ),
        (
            [b"s\n" + b"x" * 2 * PIECE + b"\nt\n"],
            [(b"F", b"s"), (b"P", b"x" * PIECE), (b"F", b"x" * PIECE), (b"F", b"t")],
        ),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_lines_become_records(writer, tmp_path, chunks, wanted):
    """Whatever the chunks, a line is one record, a long one several, an unfinished one partial."""
    for chunk in chunks:
        writer.write("stdout", chunk)
    writer.close()

    assert records(tmp_path) == [(b"stdout", *each) for each in wanted]


def test_unfinished_lines_of_two_streams_do_not_mix(writer, tmp_path):
    """What waits for its end waits for that of its own stream."""
    for stream, chunk in (("stdout", b"o"), ("stderr", b"e"), ("stdout", b"!\n"), ("stderr", b"?")):
        writer.write(stream, chunk)
    writer.close()

    assert records(tmp_path) == [(b"stdout", b"F", b"o!"), (b"stderr", b"P", b"e?")]


def test_records_sort_by_time_as_text():
    """All stamps have as many digits, so texts compare as times do."""
    assert log.stamp(0) == b"1970-01-01T00:00:00.000000000Z"
    assert log.stamp(1_700_000_000_000_000_001) == b"2023-11-14T22:13:20.000000001Z"


def test_nobody_else_reads_the_log(writer, tmp_path):
    """The file is its owner's, whatever a program writes into it."""
    writer.write("stdout", b"secret\n")

    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600


def test_files_rotate(tmp_path):
    """A full file becomes the first old one, and the oldest goes; no record is cut."""
    writer = LogWriter(tmp_path, max_size=200, max_files=3)
    for number in range(20):
        writer.write("stdout", b"%060d\n" % number)
    writer.close()

    assert sorted(os.listdir(tmp_path)) == ["log", "log.1", "log.2"]
    kept = [
        int(text) for name in ("log.2", "log.1", "log") for _, _, text in records(tmp_path, name)
    ]
    assert kept == list(range(kept[0], 20))
    assert all((tmp_path / name).stat().st_size <= 200 for name in os.listdir(tmp_path))


def test_one_file_alone_begins_anew(tmp_path):
    """Where only one file may be, what is full is dropped."""
    writer = LogWriter(tmp_path, max_size=100, max_files=1)
    for number in range(9):
        writer.write("stdout", b"%060d\n" % number)
    writer.close()

    assert os.listdir(tmp_path) == ["log"]
    assert [int(text) for _, _, text in records(tmp_path)] == [8]


def test_a_second_run_goes_on(tmp_path):
    """A container that is started again writes behind what it wrote before."""
    for text in (b"one\n", b"two\n"):
        writer = LogWriter(os.open(tmp_path, os.O_PATH))
        writer.write("stdout", text)
        writer.close()

    assert [text for _, _, text in records(tmp_path)] == [b"one", b"two"]


def test_a_torn_record_does_not_take_the_next_one_with_it(tmp_path):
    """Behind what a killed writer left, the next record is on a line of its own."""
    (tmp_path / "log").write_bytes(b"2026-01-01T00:00:00.000000000Z stdo")
    writer = LogWriter(tmp_path)
    writer.write("stdout", b"whole\n")
    writer.close()

    assert RECORD.fullmatch((tmp_path / "log").read_bytes().split(b"\n", 1)[1])


def test_a_full_disk_is_remembered(tmp_path, monkeypatch):
    """What there is no room for is lost; the next record is whole again."""
    writer = LogWriter(tmp_path)
    writer.write("stdout", b"first\n")
    real = os.write
    answers = [lambda file, data: real(file, data[:40]), None]

    def full(file, data):
        if not answers:
            return real(file, data)
        answer = answers.pop(0)
        if answer is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return answer(file, data)

    monkeypatch.setattr(os, "write", full)
    writer.write("stdout", b"lost in the middle\n")
    assert writer.failure.errno == errno.ENOSPC
    writer.write("stdout", b"last\n")
    writer.close()

    lines = (tmp_path / "log").read_bytes().splitlines(keepends=True)
    assert len(lines) == 3
    assert RECORD.fullmatch(lines[0])
    assert RECORD.fullmatch(lines[2])[3] == b"last"


def test_a_link_in_the_place_of_the_log_is_not_followed(writer, tmp_path):
    """What is no file of ours is not written to, and that is no reason to stop."""
    (tmp_path / "victim").write_bytes(b"")
    (tmp_path / "log").symlink_to("victim")

    writer.write("stdout", b"text\n")

    assert writer.failure.errno == errno.ELOOP
    assert (tmp_path / "victim").read_bytes() == b""


def test_one_chunk_is_one_call(writer, monkeypatch):
    """However many lines come at once, the kernel is called once for them."""
    writer.write("stdout", b"open\n")
    calls = []
    real = os.write
    monkeypatch.setattr(os, "write", lambda *given: calls.append(given) or real(*given))

    writer.write("stdout", b"line\n" * 1000)

    assert len(calls) == 1


def test_it_imports_next_to_nothing():
    """The process that has it is small: beside os and time it needs nothing."""
    found = re.findall(r"^ *(?:import|from) (\S+)", Path(log.__file__).read_text(), re.MULTILINE)

    assert found == ["__future__", "os", "time"]
