"""Containers whose monitor was killed go when they were to go at their end, and no others."""

from __future__ import annotations

import os
import time
from datetime import timedelta

import pytest
from msgspec.structs import replace
from support import homes, tars
from support.partials import DAY

from layerkit.ops import containers, ps, reap, snapshots, states
from layerkit.ops.prune import prune
from layerkit.store.files import Lock

pytestmark = pytest.mark.root

RUN = states.Run(5.0, pid=1)
NOTHING = timedelta(0)


@pytest.fixture
def image(home, tmp_path):
    """An image of one file."""
    return homes.load_layers(home, tmp_path / "layout", [tars.archive(tars.file("x"))])


@pytest.fixture
def make(home, image):
    """Makes a container of `--rm`, or another one, with this last run."""

    def made(run=RUN, *, remove=True):
        wishes = replace(homes.CONFIG.wishes, remove=remove)
        container = containers.create(
            home,
            containers.Origin(image, "app:1", "overlay"),
            container_id=containers.new_id(),
            name=None,
            config=replace(homes.CONFIG, wishes=wishes),
            texts=homes.TEXTS,
        )
        if run is not None:
            states.write(home, container, run)
        return container

    return made


def listed(home):
    """The ids that `ps` tells."""
    return [each.id for each in ps.list_containers(home)]


def test_a_lost_container_of_rm_goes_with_the_next_list(home, make):
    """Record and folder are gone, and the list is without it."""
    container = make()

    assert listed(home) == []
    assert not containers.folder_of(home, container).exists()
    assert home.store.database.containers() == []


@pytest.mark.parametrize(
    ("run", "remove"),
    [(RUN, False), (None, True), (replace(RUN, finished=6.0, exit_code=255), True)],
    ids=["without-rm", "never-started", "ended"],
)
def test_others_stay(home, make, run, remove):
    """Whoever was not to go, or was not lost, is listed."""
    container = make(run, remove=remove)

    assert listed(home) == [container.id]


def test_one_with_a_monitor_stays(home, make):
    """Who holds the lock is there to remove it."""
    container = make()

    with Lock(containers.folder_of(home, container) / "lock"):
        assert listed(home) == [container.id]


def test_one_with_snapshots_stays(home, make):
    """What somebody wants to go back to is kept, and shown."""
    container = make()
    snapshots.create(home, container.name, "kept")

    assert listed(home) == [container.id]


def test_one_that_was_started_meanwhile_stays(home, make):
    """The look and the removal are of the same run."""
    container = make()
    before = states.read(home, container)
    states.write(home, container, replace(RUN, started=7.0))

    assert not reap.reap(home, container, before)
    assert containers.folder_of(home, container).exists()


def test_prune_takes_lost_containers_whatever_their_age(home, make):
    """They are told, and with `dry_run` only told."""
    container = make()
    stays = make(remove=False)

    for dry_run in (True, False):
        (told,) = prune(home, now=time.time(), dry_run=dry_run)
        assert (told.kind, told.name) == ("container", container.id)

    assert [each.id for each in home.store.database.containers()] == [stays.id]


def test_prune_takes_folders_without_a_record_after_a_day(home, make):
    """Who was killed while making a container left it; names of others are not looked at."""
    stays = make(remove=False)
    stray = home.containers / ("a" * 64)
    for folder in (stray, home.containers / "lost+found"):
        (folder / "upper").mkdir(parents=True)

    assert prune(home, now=time.time() + 0.9 * DAY, older_than=NOTHING) == []
    (told,) = prune(home, now=time.time() + 1.1 * DAY, older_than=NOTHING)

    assert (told.kind, told.name) == ("container", stray.name)
    assert sorted(os.listdir(home.containers)) == sorted([stays.id, "lost+found"])
