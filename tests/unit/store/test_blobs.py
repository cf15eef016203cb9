"""A blob has its name only when size and digest are checked, and what a kill leaves is gone on with."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import stat
from pathlib import Path

import pytest
from support import disks
from support.processes import NOBODY, child, kill_myself, outcome, until

from layerkit import digest as digests
from layerkit.digest import BlobDigest, Digest
from layerkit.errors import IntegrityError, NotFoundError, StoreError, StoreFullError
from layerkit.store import journal
from layerkit.store.blobs import BlobStore
from layerkit.store.ingest import EXTENT

DATA = random.Random(7).randbytes(2 * EXTENT + 12_345)
SIZE = len(DATA)
DIGEST = digests.of_bytes(DATA)
PIECE = 512 << 10


def pieces(data):
    """Bytes as they come from a network."""
    return (data[start : start + PIECE] for start in range(0, len(data), PIECE))


def write(blobs, data, digest=DIGEST, size=SIZE):
    """Bring `data` in as the whole blob."""
    with blobs.ingest(digest, size) as transaction:
        for _ in transaction.receive(pieces(data)):
            pass
        transaction.commit()


def put(transaction, start, data):
    """Bring bytes in that begin at `start`."""
    with transaction.writer(start) as writer:
        for piece in pieces(data):
            writer.write(piece)


def write_part(blobs, length):
    """Bring the first bytes in, and leave."""
    with blobs.ingest(DIGEST, SIZE) as transaction:
        put(transaction, 0, DATA[:length])


def finish(blobs):
    """Bring in what is missing; what that was."""
    with blobs.ingest(DIGEST, SIZE) as transaction:
        missing = transaction.missing()
        for start, end in missing:
            put(transaction, start, DATA[start:end])
        transaction.commit()
    return missing


def behind(offset):
    """All bytes from `offset` on are missing."""
    return [(offset, SIZE)]


def assert_whole(root):
    """The blob is there, read-only, and nothing of its way in is left."""
    path = BlobStore(root).path(DIGEST)
    assert path.read_bytes() == DATA
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert list((root / "ingest").iterdir()) == []


def ingest_folder(root):
    """Where the blob lies while it comes in."""
    return root / f"ingest/sha256-{DIGEST.hex}"


@pytest.mark.parametrize("size", [0, 1, EXTENT - 1, EXTENT, EXTENT + 1, 2 * EXTENT])
def test_a_blob_comes_in_whole(root, blobs, size):
    """Any size is committed under its digest."""
    data = DATA[:size]
    digest = digests.of_bytes(data)

    write(blobs, data, digest, size)

    assert blobs.has(digest)
    assert blobs.path(digest).read_bytes() == data
    assert list((root / "ingest").iterdir()) == []


def test_a_blob_of_sha512_has_a_folder_of_its_own(blobs):
    """The algorithm is part of the name, as image-spec image-layout.md has it."""
    digest = BlobDigest(Digest("sha512", hashlib.sha512(b"x").hexdigest()))

    write(blobs, b"x", digest, 1)

    assert blobs.path(digest).parent.name == "sha512"
    assert blobs.read(digest, 1) == b"x"


def test_a_blob_that_is_here_is_not_written_again(blobs):
    """The transaction for it is None."""
    write(blobs, DATA)

    with blobs.ingest(DIGEST, SIZE) as transaction:
        assert transaction is None


@pytest.mark.parametrize(
    ("data", "size", "message"),
    [
        (DATA[:-1], SIZE, "wrong size"),
        (DATA[:-1] + b"\0", SIZE, "wrong digest"),
        (b"", SIZE, "wrong size"),
        (DATA, SIZE + 1, "wrong size"),
        (DATA, SIZE - 1, "more than the promised"),
        (DATA[:-1], SIZE - 1, "wrong digest"),
    ],
    ids=[
        "short",
        "changed",
        "nothing",
        "size-too-large",
        "size-too-small",
        "size-of-the-short-one",
    ],
)
def test_wrong_bytes_are_refused_and_not_kept(root, blobs, data, size, message):
    """Size is checked, then digest; the blob does not appear, and the next try starts at 0."""
    with pytest.raises(IntegrityError, match=message):
        write(blobs, data, DIGEST, size)

    assert not blobs.has(DIGEST)
    assert list((root / "ingest").iterdir()) == []
    assert finish(blobs) == behind(0)


def test_an_algorithm_nobody_can_check_is_refused(root, blobs):
    """Nothing is taken in that could not be verified, and nothing is left of the attempt."""
    digest = BlobDigest(Digest("blake3", "0" * 64))

    with pytest.raises(IntegrityError, match="unsupported"), blobs.ingest(digest, 1):
        pytest.fail("a transaction without a check")

    assert list((root / "ingest").iterdir()) == []


@pytest.mark.parametrize("length", [0, 1, EXTENT - 1, EXTENT, EXTENT + 1, 2 * EXTENT + 7])
def test_leaving_without_commit_keeps_what_came(blobs, root, length):
    """The next transaction begins where this one ended."""
    write_part(blobs, length)

    assert not blobs.has(DIGEST)
    assert finish(blobs) == behind(length)
    assert_whole(root)


def test_an_exception_keeps_what_came(blobs, root):
    """So does one that ends because the source broke off."""

    def broken():
        yield DATA[:PIECE]
        raise ConnectionError

    with pytest.raises(ConnectionError), blobs.ingest(DIGEST, SIZE) as transaction:
        list(transaction.receive(broken()))

    assert finish(blobs) == behind(PIECE)
    assert_whole(root)


def test_a_restart_forgets_what_came(blobs, root):
    """A source that starts over is taken from the beginning, in this and in the next process."""
    write_part(blobs, EXTENT + 5)
    with blobs.ingest(DIGEST, SIZE) as transaction:
        transaction.restart()
        assert transaction.missing() == behind(0)
        put(transaction, 0, DATA[:3])

    assert finish(blobs) == behind(3)
    assert_whole(root)


@pytest.mark.parametrize("length", [0, 1, EXTENT - 1, EXTENT, EXTENT + PIECE, 2 * EXTENT + PIECE])
def test_a_killed_writer_loses_less_than_one_extent(blobs, root, length):
    """K01: what was recorded before the kill is there for the next one, and is right."""

    def work():
        with blobs.ingest(DIGEST, SIZE) as transaction, transaction.writer(0) as writer:
            for piece in pieces(DATA[:length]):
                writer.write(piece)
            kill_myself()

    assert outcome(work) < 0
    [(start, _)] = finish(blobs)

    assert length - EXTENT < start <= length
    assert_whole(root)


@pytest.mark.parametrize("when", ["fsync", "rename"])
def test_a_writer_killed_while_it_commits_can_be_gone_on_with(blobs, root, monkeypatch, when):
    """K01: up to the rename the blob has no name, and every byte that came is used again."""

    def work():
        monkeypatch.setattr(os, when, lambda *_: kill_myself())
        write(blobs, DATA)

    assert outcome(work) < 0
    assert not blobs.has(DIGEST)
    assert finish(blobs) == []
    assert_whole(root)


@pytest.mark.root
@pytest.mark.parametrize("when", ["fsync", "rename", "fchmod"])
def test_a_commit_that_was_killed_locks_nobody_out(tmp_path, monkeypatch, when):
    """A user without privileges can go on with his own file, whatever mode it would get."""
    (tmp_path / "ingest").mkdir()
    for path in (tmp_path, tmp_path / "ingest"):
        os.chown(path, NOBODY, NOBODY)
    blobs = BlobStore(Path())

    def die():
        monkeypatch.setattr(os, when, lambda *_: kill_myself())
        write(blobs, DATA)

    def go_on():
        if not blobs.has(DIGEST):
            finish(blobs)

    assert outcome(die, uid=NOBODY, folder=tmp_path) < 0
    assert outcome(go_on, uid=NOBODY, folder=tmp_path) == 0
    assert BlobStore(tmp_path).path(DIGEST).read_bytes() == DATA


def test_a_killed_writer_leaves_no_blob(blobs, root):
    """DG-26: a name never stands for half of its content."""
    with child(lambda: write_slowly(blobs)) as writer:
        until((ingest_folder(root) / "data").exists)
        writer.kill()

    assert not blobs.has(DIGEST)


def write_slowly(blobs):
    """Write without an end, and without a commit."""
    with blobs.ingest(DIGEST, SIZE) as transaction:
        while True:
            transaction.restart()
            put(transaction, 0, DATA[:PIECE])


def damage(path, change):
    """Change a file's bytes."""
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)


def zero(start, end):
    """Write zeros, as a power loss leaves them."""

    def change(data):
        data[start:end] = bytes(end - start)

    return change


@pytest.mark.parametrize(
    ("name", "change", "missing"),
    [
        pytest.param(
            "data", zero(0, 100), [(0, EXTENT), *behind(2 * EXTENT)], id="K05-first-extent-zeroed"
        ),
        pytest.param(
            "data", zero(EXTENT, 2 * EXTENT), behind(EXTENT), id="K05-second-extent-zeroed"
        ),
        pytest.param(
            "data",
            lambda data: data.__delitem__(slice(EXTENT + 9, None)),
            behind(EXTENT),
            id="K05-cut",
        ),
        pytest.param(
            "data", lambda data: data.extend(b"more" * 9999), behind(2 * EXTENT), id="data-too-long"
        ),
        pytest.param("data", lambda data: data.clear(), behind(0), id="K04-data-empty"),
        pytest.param("journal", lambda data: data.clear(), behind(0), id="K04-journal-empty"),
        pytest.param(
            "journal", lambda data: data.__delitem__(slice(-4, None)), behind(EXTENT), id="K04-torn"
        ),
        pytest.param(
            "journal", lambda data: data.extend(b"1 2 3 4\n\xff"), behind(2 * EXTENT), id="K04-more"
        ),
        pytest.param("journal", lambda data: data.insert(3, 7), behind(0), id="K04-header"),
        pytest.param(
            "journal",
            lambda data: data.extend(journal.line(journal.Extent(2 * EXTENT, 9, 1))),
            behind(2 * EXTENT),
            id="K05-extent-that-is-not-there",
        ),
        pytest.param(
            "journal",
            lambda data: data.extend(journal.line(journal.Extent(2 * EXTENT, 0, 0)) * 2),
            behind(2 * EXTENT),
            id="extents-of-nothing",
        ),
        pytest.param(
            "journal",
            lambda data: data.extend(journal.line(journal.Extent(2 * EXTENT, -9, 0))),
            behind(2 * EXTENT),
            id="extent-backwards",
        ),
        pytest.param(
            "journal",
            lambda data: data.extend(journal.line(journal.Extent(0, EXTENT, 0))),
            behind(2 * EXTENT),
            id="extent-again",
        ),
    ],
)
def test_what_a_crash_damaged_is_not_trusted(blobs, root, name, change, missing):
    """K04, K05: only sound extents count, and the blob comes in whole."""
    write_part(blobs, 2 * EXTENT)
    damage(ingest_folder(root) / name, change)

    assert finish(blobs) == missing
    assert_whole(root)


@pytest.mark.parametrize("name", ["data", "journal"])
def test_a_missing_file_starts_over(blobs, root, name):
    """K04: without one of the two, nothing is known."""
    write_part(blobs, 2 * EXTENT)
    (ingest_folder(root) / name).unlink()

    assert finish(blobs) == behind(0)
    assert_whole(root)


def test_the_journal_of_another_size_does_not_count(blobs, root):
    """K04: what was begun under another promise is begun anew."""
    with blobs.ingest(DIGEST, SIZE + 1) as transaction:
        put(transaction, 0, DATA[:PIECE])

    assert finish(blobs) == behind(0)
    assert_whole(root)


def test_a_planted_symlink_is_not_followed(blobs, root, tmp_path):
    """The files of a transaction are never somebody else's."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    ingest_folder(root).mkdir()
    (ingest_folder(root) / "data").symlink_to(victim)

    with pytest.raises(Exception, match="symbolic links"), blobs.ingest(DIGEST, SIZE):
        pytest.fail("opened through a symlink")

    assert victim.read_bytes() == b"precious"


def test_two_processes_bring_one_blob_in_once(blobs, root):
    """K07: the second waits, is told so, and finds the blob."""
    waits = root / "waits"

    def second():
        until((root / "begun").exists)
        with blobs.ingest(DIGEST, SIZE, waits.touch) as transaction:
            assert transaction is None

    with child(second) as process:
        with blobs.ingest(DIGEST, SIZE) as transaction:
            put(transaction, 0, DATA[:PIECE])
            (root / "begun").touch()
            until(waits.exists)
            put(transaction, PIECE, DATA[PIECE:])
            transaction.commit()
        assert process.wait() == 0

    assert_whole(root)


def test_a_waiter_takes_over_when_the_writer_dies(blobs, root):
    """K07: it goes on where the other one stopped."""

    def first():
        with blobs.ingest(DIGEST, SIZE) as transaction:
            put(transaction, 0, DATA[:EXTENT])
            (root / "begun").touch()
            until((root / "waits").exists)
            kill_myself()

    with child(first) as process:
        until((root / "begun").exists)
        with blobs.ingest(DIGEST, SIZE, (root / "waits").touch) as transaction:
            assert transaction.missing() == behind(EXTENT)
            put(transaction, EXTENT, DATA[EXTENT:])
            transaction.commit()
        assert process.wait() < 0

    assert_whole(root)


def test_many_processes_bring_one_blob_in(blobs, root):
    """K07: however they meet, each ends well and the blob is whole."""

    def work():
        with blobs.ingest(DIGEST, SIZE) as transaction:
            if transaction is not None:
                for start, end in transaction.missing():
                    put(transaction, start, DATA[start:end])
                transaction.commit()

    with child(work) as one, child(work) as two, child(work) as three:
        assert [one.wait(), two.wait(), three.wait()] == [0, 0, 0]
    assert_whole(root)


def test_a_transaction_leaves_no_open_file(blobs):
    """Whether it commits, leaves or fails."""
    before = len(os.listdir("/proc/self/fd"))
    write_part(blobs, 5)
    with pytest.raises(IntegrityError):
        write(blobs, DATA[:-1] + b"\0")
    with pytest.raises(IntegrityError):
        write(blobs, b"", BlobDigest(Digest("blake3", "0" * 64)), 0)
    finish(blobs)

    assert len(os.listdir("/proc/self/fd")) == before


def test_small_blobs_are_put_and_read(blobs):
    """What is put comes back by its digest, or by the one it was checked against."""
    sha512 = BlobDigest(Digest("sha512", hashlib.sha512(b"{}").hexdigest()))

    assert blobs.read(blobs.put(b"{}"), 2) == b"{}"
    assert blobs.put(b"{}") == digests.of_bytes(b"{}")
    assert blobs.put(b"{}", sha512) == sha512
    assert blobs.read(sha512, 2) == b"{}"


@pytest.mark.parametrize(
    "change",
    [zero(0, 1), bytearray.clear, lambda data: data.extend(b"x")],
    ids=["bit", "cut", "longer"],
)
def test_a_blob_that_rotted_is_not_given_out(blobs, change):
    """Reading checks the digest again."""
    digest = blobs.put(b"content")
    blobs.path(digest).chmod(0o644)
    damage(blobs.path(digest), change)

    with pytest.raises(IntegrityError, match="stored blob"):
        blobs.read(digest, 100)


def test_a_blob_that_is_not_here_is_not_found(blobs):
    """Reading says so; removing it is nothing."""
    with pytest.raises(NotFoundError, match="not in the store"):
        blobs.read(DIGEST, 1)
    blobs.remove(DIGEST)


def test_a_blob_is_removed(blobs, root):
    """Its name is gone, and so is its content."""
    digest = blobs.put(b"content")

    blobs.remove(digest)

    assert not blobs.has(digest)
    assert list((root / "ingest").iterdir()) == []


@pytest.mark.parametrize("call", ["pwrite", "fsync", "rename"])
def test_a_disk_with_errors_gives_no_half_blob(blobs, root, monkeypatch, call):
    """D34: whichever call fails, the error is one of the store, and nothing has the blob's name."""

    def fail(*_arguments, **_options):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(StoreError, match="input/output error"):
            write(blobs, DATA)

    assert not blobs.has(DIGEST)
    assert [path for path in (root / "blobs").rglob("*") if path.is_file()] == []
    finish(blobs)
    assert_whole(root)


@pytest.mark.root
def test_a_full_disk_keeps_what_is_sound(tmp_path):
    """No room left is an error of its own; what was written before it is used when there is some."""
    with disks.small_ext4(tmp_path, 32 << 20) as place:
        (place / "ingest").mkdir()
        blobs = BlobStore(place)
        disks.fill(place, EXTENT + (1 << 20))

        with pytest.raises(StoreFullError, match="no space left"):
            write(blobs, DATA)
        assert not blobs.has(DIGEST)

        (place / "filler").unlink()
        [(start, _)] = finish(blobs)
        assert start >= EXTENT
        assert_whole(place)


def test_a_download_tells_how_far_it_is(root, blobs):
    """Size and recorded bytes are read without its lock, and nothing of it changes."""
    write_part(blobs, EXTENT)
    folder = ingest_folder(root)
    before = {each.name: each.stat().st_mtime_ns for each in folder.iterdir()}

    assert (blobs.promised(DIGEST), blobs.arrived(DIGEST, SIZE)) == (SIZE, EXTENT)
    assert {each.name: each.stat().st_mtime_ns for each in folder.iterdir()} == before


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("data")])
def test_what_is_no_journal_tells_nothing(root, blobs, make):
    """A pipe is not waited for, a link not followed: nothing counts as here."""
    write_part(blobs, EXTENT)
    (ingest_folder(root) / "journal").unlink()
    make(ingest_folder(root) / "journal")

    assert (blobs.promised(DIGEST), blobs.arrived(DIGEST, SIZE)) == (None, 0)
