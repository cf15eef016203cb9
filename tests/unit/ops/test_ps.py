"""Containers are listed as they are, and filtered as docker does."""

import pytest
from support import homes, tars

from layerkit.errors import UsageError
from layerkit.ops import containers, ps, states
from layerkit.ops.ps import Listed
from layerkit.ports import Publication

WEB = Listed(
    "ab" * 32,
    "centos",
    "12" * 32,
    ("httpd",),
    3.0,
    "running",
    started=3.0,
    ports=(Publication(80, "tcp", 8080), Publication(443), Publication(53, "udp", 53)),
    names=("web",),
    labels=(("tier", "front"), ("empty", "")),
    mounts=("data", "/host"),
    networks=("bridge",),
)
JOB = Listed(
    "cd" * 32, "quay.io/a/b:1", "34" * 32, ("job",), 2.0, "exited", 3, names=("web-job",),
    labels=(("tier", "back"),), networks=("none",),
)  # fmt: skip
NEW = Listed("ef" * 32, "centos:7", "56" * 32, ("sh",), 1.0, "created", names=("new",))
BOX = Listed("0a" * 32, "centos:latest", "12" * 32, ("sh",), 0.0, "paused", names=("box",))
ALL = (WEB, JOB, NEW, BOX)


def names(*filters, everything=True, last=0):
    """The names of those that these filters let through."""
    return [each.names[0] for each in ps.chosen(ALL, filters, everything=everything, last=last)]


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ([], ["web", "web-job", "new", "box"]),
        (["name=web"], ["web", "web-job"]),
        (["name=^web$"], ["web"]),
        (["name=^/web$"], ["web"]),
        (["name=w.b", "name=new"], ["web", "web-job", "new"]),
        (["id=abab"], ["web"]),
        (["id=^cd"], ["web-job"]),
        (["status=exited"], ["web-job"]),
        (["status=exited", "status=created"], ["web-job", "new"]),
        (["exited=3"], ["web-job"]),
        (["exited=0"], []),
        (["exited=-1"], []),
        (["ancestor=centos"], ["web", "box"]),
        (["ancestor=docker.io/library/centos:latest"], ["web", "box"]),
        (["ancestor=centos:7"], ["new"]),
        (["ancestor=quay.io/a/b:1"], ["web-job"]),
        (["ancestor=quay.io/a/b"], []),
        (["ancestor=3434"], ["web-job"]),
        (["ancestor=sha256:1212"], ["web", "box"]),
        (["ancestor="], []),
        (["label=tier"], ["web", "web-job"]),
        (["label=tier=front"], ["web"]),
        (["label=tier", "label=empty"], ["web"]),
        (["label=tier=front", "label=tier=back"], []),
        (["label=empty="], ["web"]),
        (["label=none="], []),
        (["publish=8080"], ["web"]),
        (["publish=80"], ["web"]),
        (["publish=80/udp"], []),
        (["publish=53/udp"], ["web"]),
        (["publish=443"], []),
        (["network=none"], ["web-job"]),
        (["volume=data"], ["web"]),
        (["volume=/host"], ["web"]),
        (["name=web", "status=exited"], ["web-job"]),
    ],
    ids=" ".join,
)
def test_filters(filters, wanted):
    """Of a key's values one must fit, of labels all, and of several keys each."""
    assert names(*filters) == wanted


@pytest.mark.parametrize(
    ("filters", "options", "wanted"),
    [
        ([], {}, ["web", "box"]),
        (["status=exited"], {}, ["web-job"]),
        (["exited=3"], {}, []),
        ([], {"last": 2}, ["web", "web-job"]),
        (["name=job"], {"last": 1}, ["web-job"]),
        ([], {"last": 99}, ["web", "web-job", "new", "box"]),
        ([], {"last": -1}, ["web", "box"]),
    ],
    ids=str,
)
def test_what_is_up_is_listed(filters, options, wanted):
    """Without -a those that have a process, unless a status or a number of them is asked for."""
    assert names(*filters, everything=False, **options) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "=x",
        "health=healthy",
        "Name=x",
        "status=up",
        "status=",
        "exited=",
        "exited=x",
        "name=(",
        "id=[",
    ],
)
def test_a_bad_filter(text):
    """Unknown keys and values that cannot be are refused, also where nothing is to be filtered."""
    with pytest.raises(UsageError, match="filter"):
        ps.chosen((), [text], everything=True)


@pytest.fixture
def image(home, tmp_path):
    """An image of one file."""
    return homes.load_layers(home, tmp_path / "layout", [tars.archive(tars.file("x"))])


@pytest.mark.root
def test_containers_are_listed(home, image):
    """RT-L09: the newest first, with what is known of the last run."""
    old = homes.create(home, image, name="old")
    new = homes.create(home, image, name="new")
    states.write(home, old, states.Run(5.0, finished=6.0, exit_code=3))

    first, second = ps.list_containers(home)

    assert (first.id, first.names, first.status) == (new.id, ("new",), "created")
    assert (second.status, second.exit_code, second.started) == ("exited", 3, 5.0)
    assert second.finished == 6.0
    assert (second.image, second.image_id) == ("app:1", image.config.hex)
    assert (second.command, second.networks, second.size) == (
        homes.CONFIG.process.args,
        ("none",),
        None,
    )


@pytest.mark.root
def test_sizes_are_measured(home, image):
    """What a container wrote is counted when it is asked for."""
    container = homes.create(home, image)
    (containers.upper_of(home, container) / "x").write_bytes(b"x" * 100_000)

    (listed,) = ps.list_containers(home, size=True)

    assert listed.size >= 100_000
    assert listed.image_size == image.size


@pytest.mark.root
def test_a_container_that_vanishes_is_left_out(home, image, monkeypatch):
    """Who removes a container meanwhile does not stop the list."""
    stays, goes = homes.create(home, image), homes.create(home, image)
    records = home.store.database.containers()
    containers.remove_container(home, goes)
    monkeypatch.setattr(type(home.store.database), "containers", lambda _self: records)

    assert [each.id for each in ps.list_containers(home)] == [stays.id]
