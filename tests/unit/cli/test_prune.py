"""`prune` says what went and how much room that makes, as docker does."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import pytest
from support import partials
from support.partials import DAY

from layerkit.ops.home import Home


@pytest.fixture
def later(monkeypatch):
    """Lets the command believe that it is that many days later."""

    def later(days):
        now = time.time() + days * DAY
        monkeypatch.setattr("layerkit.cli.prune.time", SimpleNamespace(time=lambda: now))

    return later


@pytest.fixture
def downloads(environment, state_root):
    """The digests of two partial downloads."""
    with Home(state_root) as home:
        return [partials.leave_download(home.store.blobs, number) for number in range(2)]


def test_nothing_to_remove(cli):
    """An empty store gives docker's last line alone."""
    assert cli("prune") == (0, "Total reclaimed space: 0B\n", "")


def test_what_went_is_listed(cli, downloads, later, state_root):
    """By kind, each with its digest, and the sum at the end; then it is gone."""
    later(8)

    lines = cli("prune").out.splitlines()

    assert lines[0] == "Deleted partial downloads:"
    assert sorted(lines[1:3]) == sorted(map(str, downloads))
    assert lines[3] == ""
    assert lines[4].startswith("Total reclaimed space: 4.")
    assert os.listdir(state_root / "ingest") == []
    assert cli("prune").out == "Total reclaimed space: 0B\n"


@pytest.mark.parametrize("held", [False, True], ids=["K12-free", "K12-held"])
def test_old_downloads_go_but_not_those_in_use(cli, downloads, later, state_root, tmp_path, held):
    """Seven days old and free: gone; with a process at it: kept, and told by `df` as in use."""
    first, second = downloads
    later(7.1)
    with Home(state_root) as home:
        shown = cli("df", "-v", "--format", "{{json .PartialDownloads}}").out
        assert all(str(each) in shown for each in downloads)
        if held:
            with partials.holding(home.store.blobs, first, tmp_path / "flag"):
                assert '"InUse":"yes"' in cli("df", "-v", "--format", "json").out
                out = cli("prune").out
        else:
            out = cli("prune").out

    assert str(second) in out
    assert (str(first) in out) != held
    assert os.listdir(state_root / "ingest") == ([f"sha256-{first.hex}"] if held else [])


@pytest.mark.parametrize(
    ("days", "options", "goes"),
    [
        (6, [], False),
        (0, ["--until", "0"], True),
        (6, ["--until", "12h"], True),
        (8, ["--until", "30d"], False),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else None,
)
def test_the_age_can_be_chosen(cli, downloads, later, days, options, goes):
    """Seven days, unless `--until` says something else."""
    later(days)

    assert ("Deleted" in cli("prune", *options).out) == goes


def test_a_dry_run_removes_nothing(cli, downloads, state_root):
    """It says what would go, with the same sum."""
    out = cli("prune", "--dry-run", "--until", "0").out

    assert out.startswith("Would delete partial downloads:\n")
    assert "\nTotal reclaimable space: 4." in out
    assert len(os.listdir(state_root / "ingest")) == 2


@pytest.mark.parametrize("text", ["", "7", "-1d", "soon"])
def test_nonsense_is_refused(cli, downloads, state_root, text):
    """What is no duration is a usage error, and nothing goes."""
    outcome = cli("prune", "--until", text)

    assert outcome.code == 2
    assert outcome.err.startswith(f"layerkit: invalid --until {text!r}: wanted a duration")
    assert len(os.listdir(state_root / "ingest")) == 2


def test_an_image_on_its_way_in_is_noted(cli, state_root, environment):
    """Why nothing of it goes is said on stderr."""
    with Home(state_root) as home, home.store.arrival():
        outcome = cli("prune")

    assert (outcome.code, outcome.out) == (0, "Total reclaimed space: 0B\n")
    assert outcome.err.startswith("note: an image is being brought in")


def test_kinds_stand_together(cli, monkeypatch):
    """However they were found, each kind has one heading."""
    from layerkit.ops.prune import Removed  # noqa: PLC0415  the operation is replaced

    found = [Removed(*each, 1000) for each in (("b", "1"), ("a", "2"), ("b", "3"))]
    monkeypatch.setattr("layerkit.ops.prune.prune", lambda _home, **_options: found)

    assert cli("prune").out == (
        "Deleted as:\n2\n\nDeleted bs:\n1\n3\n\nTotal reclaimed space: 3kB\n"
    )
