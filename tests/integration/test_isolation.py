"""What real containers may do: system calls, capabilities, limits, devices, kernel parameters."""

from __future__ import annotations

import pytest
from support import boxes

from layerkit.sandbox.capabilities import DOCKER_CAPABILITIES
from layerkit.sandbox.process import ExitStatus
from layerkit.sandbox.seccomp import programs

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(boxes.obstacle() is not None, reason=str(boxes.obstacle())),
]


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The busybox root; not to be written to."""
    return boxes.make_image(tmp_path_factory.mktemp("busybox") / "root")


@pytest.fixture
def layer(tmp_path):
    """A layer over the image for what a test wants in its root."""
    (tmp_path / "layer").mkdir()
    return tmp_path / "layer"


@pytest.fixture
def box(tmp_path, image, layer):
    """A container on init layer, test's layer and image."""
    return boxes.Box(tmp_path, boxes.init_layer(tmp_path / "init"), layer, image)


@pytest.fixture(scope="module")
def default(tmp_path_factory):
    """The program of docker's default profile."""
    cache = tmp_path_factory.mktemp("cache")
    return programs.find_program(None, DOCKER_CAPABILITIES, cache)


def status(text: str) -> dict[str, str]:
    """The fields of a /proc/PID/status."""
    pairs = (line.partition(":") for line in text.splitlines())
    return {name: value.strip() for name, _, value in pairs}


class TestRights:
    """What the kernel lets a container do."""

    def test_the_default_container_is_dockers(self, box, default):
        """P11, P14: docker's capabilities in all sets but two, a filter, and new privileges."""
        found = status(box.run("cat", "/proc/self/status", seccomp=default).text)

        assert [found[f"Cap{each}"] for each in ("Prm", "Eff", "Bnd")] == ["00000000a80425fb"] * 3
        assert [found[f"Cap{each}"] for each in ("Inh", "Amb")] == ["0000000000000000"] * 2
        assert (found["Seccomp"], found["NoNewPrivs"]) == ("2", "0")

    def test_without_a_filter_there_is_none(self, box):
        """P14: `seccomp=unconfined` is no filter at all."""
        assert status(box.run("cat", "/proc/self/status").text)["Seccomp"] == "0"

    @pytest.mark.parametrize(
        ("command", "words"),
        [
            (("unshare", "-U", "true"), b"Operation not permitted"),
            (("mount", "-t", "tmpfs", "x", "/tmp"), b"permission denied"),
            (("hostname", "x"), b"Operation not permitted"),
        ],
        ids=["P14-unshare", "P14-mount", "N06-hostname"],
    )
    def test_what_the_host_keeps_to_itself_is_refused(self, box, default, command, words):
        """The default container cannot make namespaces, mount, or change the host name."""
        result = box.run(*command, seccomp=default)

        assert (result.status != ExitStatus(0), words in result.err) == (True, True)

    @pytest.mark.parametrize("user", ["", "app"])
    @pytest.mark.parametrize("no_new_privileges", [False, True])
    def test_a_filter_is_loaded_for_every_user(self, box, default, user, no_new_privileges):
        """P14: filter and no-new-privileges go together and apart, for root and others."""
        options = {"user": user, "no_new_privileges": no_new_privileges}
        found = status(box.run("cat", "/proc/self/status", seccomp=default, **options).text)

        assert found["Seccomp"] == "2"
        assert found["NoNewPrivs"] == str(int(no_new_privileges))
