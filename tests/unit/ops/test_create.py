"""Wishes that make no sense together, or with what there is, make no container."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support import homes, tars

from layerkit.errors import LayerkitError, NotFoundError, SandboxError, StoreError, UsageError
from layerkit.mount import BindMount, VolumeMount
from layerkit.ops import containers, states
from layerkit.ops.create import create
from layerkit.ops.wishes import Networking, Wishes
from layerkit.ports import Publication

pytestmark = pytest.mark.root
RUNTIME = {
    "Entrypoint": ["/entry"],
    "Cmd": ["cmd"],
    "Env": ["A=b"],
    "User": "app",
    "WorkingDir": "/srv",
    "StopSignal": "SIGUSR1",
    "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
    "Volumes": {"/data": {}},
}


def load(home, place, runtime, name="app:1"):
    """An image of one file with this config."""
    layers = [tars.archive(tars.file("f"))]
    tars.oci_layout(place, layers, name=name, config={"config": runtime})
    homes.load(home, place, platform=homes.AMD64)


@pytest.fixture
def image(home, tmp_path):
    """The image `app:1`, which has something to say of all that an image can."""
    load(home, tmp_path / "layout", RUNTIME)


def no_pull(name):
    """There is no registry."""
    raise NotFoundError(f"no such image: {name}")


def make(home, **wishes):
    """A container of `app:1` with these wishes, and its config."""
    container = create(home, Wishes(**{"image": "app:1", **wishes}), pull=no_pull)
    return container, containers.read_config(home, container)


@pytest.mark.parametrize(
    ("wishes", "error", "message"),
    [
        pytest.param({"image": "no:1"}, NotFoundError, "no such image: no:1", id="image"),
        pytest.param({"snapshot": "no@s"}, NotFoundError, "no such container: no", id="snapshot"),
        pytest.param({"name": "-x"}, UsageError, "invalid container name '-x'", id="name"),
        pytest.param({"env": ("=x",)}, UsageError, "invalid environment variable", id="variable"),
        pytest.param({"workdir": "srv"}, UsageError, "invalid working directory", id="folder"),
        pytest.param({"command": ("a\0b",)}, SandboxError, "no process can have it", id="NUL"),
        pytest.param({"command": ("\ud800",)}, SandboxError, "no process can have it", id="half"),
        pytest.param(
            {"hostname": "h", "networking": Networking("container:x")},
            UsageError,
            "--hostname goes with a network of its own",
            id="name in another one's network",
        ),
        pytest.param(
            {"networking": Networking("container:none")},
            NotFoundError,
            "no such container: none",
            id="nobody's network",
        ),
        pytest.param(
            {"networking": Networking("container:first", (Publication(80),))},
            UsageError,
            "published by the container whose network it is",
            id="ports of another one's network",
        ),
        pytest.param(
            {"mounts": (BindMount(Path("/no/such"), "/m"),)},
            UsageError,
            "cannot mount /no/such: it does not exist",
            id="source",
        ),
        pytest.param(
            {"mounts": (VolumeMount("../x", "/m"),)},
            UsageError,
            "invalid volume name '../x'",
            id="volume",
        ),
    ],
)
def test_what_cannot_be_is_refused(home, image, wishes, error, message):
    """One line says why, and nothing stays of it."""
    first, _ = make(home, name="first")

    with pytest.raises(error) as caught:
        make(home, **wishes)

    assert message in caught.value.message
    assert home.store.database.containers() == [first]
    assert os.listdir(home.containers) == [first.id]


def test_the_image_decides_what_nobody_wished_for(home, image):
    """Process, stop signal and volumes are the image's; a new container has never run."""
    container, config = make(home)

    process = config.process
    assert (process.args, process.cwd, process.user) == (("/entry", "cmd"), "/srv", "app")
    assert "A=b" in process.env
    assert (config.stop_signal, config.hostname) == ("SIGUSR1", container.id[:12])
    assert [mount.target for mount in config.wishes.mounts] == ["/data"]
    assert states.read(home, container).status == "created"


def test_wishes_go_before_the_image(home, image):
    """RT-P05: an entrypoint of the user's own takes the image's command away."""
    _, config = make(home, entrypoint="/mine", stop_signal="TERM", hostname="web", user="0")

    assert (config.process.args, config.process.user) == (("/mine",), "0")
    assert (config.stop_signal, config.hostname) == ("TERM", "web")


def test_an_image_without_a_command(home, tmp_path):
    """There must be something to run."""
    load(home, tmp_path / "layout", {})

    with pytest.raises(SandboxError, match="no command specified"):
        make(home)
    assert make(home, command=("sh",))[1].process.args == ("sh",)


def test_ports_that_the_image_exposes(home, image):
    """All of them are published, beside those that were wished for."""
    wanted = Publication(8080, "tcp", 80)

    _, config = make(home, networking=Networking(publications=(wanted,), publish_all=True))

    assert set(config.wishes.networking.publications) == {
        wanted,
        Publication(80, "tcp"),
        Publication(53, "udp"),
    }
    assert not config.wishes.networking.publish_all


@pytest.mark.parametrize(
    "port",
    ["http/tcp", "80/x", "80/tcp/udp", "", "-1", "٣", "0", "65536", "9" * 5000],
    ids=lambda text: text[:20] or "empty",
)
def test_a_port_that_is_none(home, tmp_path, port):
    """An image may write what it wants; publishing it is refused, ignoring it is not."""
    load(home, tmp_path / "layout", {"Cmd": ["sh"], "ExposedPorts": {port: {}}})

    with pytest.raises(LayerkitError):
        make(home, networking=Networking(publish_all=True))
    make(home)


def test_another_ones_network_is_that_of_an_id(home, image):
    """A name that moves on later does not change it."""
    other, _ = make(home, name="other")

    _, config = make(home, networking=Networking("container:other"))

    assert config.network == f"container:{other.id}"


def test_the_host_name_of_the_hosts_network(home, image):
    """It is the host's."""
    assert make(home, networking=Networking("host"))[1].hostname == os.uname().nodename


def test_sources_of_binds(home, image, tmp_path):
    """A missing one is made where that is asked for; a file is told from a folder."""
    (tmp_path / "file").touch()

    _, config = make(
        home,
        mounts=(
            BindMount(tmp_path / "new/folder", "/m", create=True),
            BindMount(tmp_path / "file", "/f"),
        ),
    )

    assert (tmp_path / "new/folder").is_dir()
    assert [mount.is_file for mount in config.wishes.mounts[:2]] == [False, True]


def test_a_config_that_was_damaged(home, image):
    """It is an error that names the file."""
    container, _ = make(home)
    path = containers.folder_of(home, container) / "config.json"
    for text in ("", "[]", json.dumps({"process": 1})):
        path.write_text(text)
        with pytest.raises(StoreError, match=r"cannot read container .*config\.json"):
            containers.read_config(home, container)
