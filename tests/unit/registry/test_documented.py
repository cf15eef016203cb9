"""The examples of docs/mirrors.md and docs/configuration.md do what the text beside them says."""

import re
from pathlib import Path

import pytest

from layerkit import reference
from layerkit.registry import Files, Places, configured, registries_conf

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLE = re.compile(
    r"```toml\n# (?P<path>\S+)\n(?P<text>.*?)```|```json\n(?P<json>.*?)```", re.DOTALL
)
DAEMON = "/etc/docker/daemon.json"
PLACES = Places(
    (Path("/etc/containerd/certs.d"), Path("/etc/docker/certs.d")),
    Files((Path("/etc/containers/registries.conf"),)),
    (Path(DAEMON),),
)
HUB = "https://registry-1.docker.io/v2/library/a"


def examples(page):
    """Path and text of each file that a page shows, in its order."""
    found = EXAMPLE.finditer((DOCS / page).read_text())
    return [(match["path"] or DAEMON, match["text"] or match["json"]) for match in found]


MIRRORS = examples("mirrors.md")
CONFIGURATION = examples("configuration.md")


def asked(fs, example, name):
    """Where an image is asked for if an example is the only configuration."""
    path, text = example
    fs.create_file(path, contents=text)
    return configured(PLACES)(reference.parse(name))


@pytest.mark.parametrize(
    ("number", "name", "wanted"),
    [
        pytest.param(0, "a", ["https://cache.example:5000/v2/library/a", HUB], id="distribution"),
        pytest.param(1, "a", ["https://cache.example:5000/v2/library/a", HUB], id="docker"),
        pytest.param(2, "a", ["https://harbor.example/v2/dockerhub/library/a", HUB], id="Harbor"),
        pytest.param(3, "a", ["https://harbor.example/v2/dockerhub/library/a", HUB], id="Harbor-2"),
        pytest.param(4, "a", ["https://zot.example:8080/v2/docker.io/library/a", HUB], id="zot"),
        pytest.param(5, "a", ["http://127.0.0.1:4001/v2/library/a", HUB], id="Dragonfly"),
        pytest.param(
            6,
            "quay.io/b/c",
            ["http://127.0.0.1:4001/v2/b/c", "https://quay.io/v2/b/c"],
            id="Dragonfly-2",
        ),
        pytest.param(
            7,
            "registry.example/c",
            ["http://127.0.0.1:30081/v2/c", "https://registry.example/v2/c"],
            id="Kraken",
        ),
        pytest.param(8, "a", ["http://10.0.0.11:30020/v2/library/a", HUB], id="Spegel"),
        pytest.param(
            9, "registry.example:5000/c", ["https://registry.example:5000/v2/c"], id="own-TLS"
        ),
        pytest.param(
            10,
            "registry.example:5000/c",
            ["https://registry.example:5000/v2/c", "http://registry.example:5000/v2/c"],
            id="own-plain",
        ),
    ],
)
def test_an_example_of_a_mirror(fs, number, name, wanted):
    """Each file alone makes layerkit ask where the text says, in that order."""
    found = asked(fs, MIRRORS[number], name)

    assert [f"{each.base}/{each.repository}" for each in found] == wanted


def test_every_example_of_a_mirror_is_tested():
    """A new example needs a row above."""
    assert len(MIRRORS) == 11


@pytest.mark.parametrize(
    ("number", "name", "wanted"),
    [
        (0, "registry.example:5000/a", ["mirror.example", "registry.example:5000"]),
        (1, "registry.example/team/a", ["other.example", "registry.example"]),
        (1, "lab.example:5000/a", ["lab.example:5000", "lab.example:5000"]),
        (3, "a", ["mirror.example", "registry-1.docker.io"]),
        (3, "10.1.2.3/a", ["10.1.2.3", "10.1.2.3"]),
    ],
)
def test_an_example_of_configuration(fs, number, name, wanted):
    """The files that show all keys are right."""
    assert [each.registry for each in asked(fs, CONFIGURATION[number], name)] == wanted


def test_the_example_of_an_alias(fs):
    """An alias is followed."""
    path, text = CONFIGURATION[2]
    fs.create_file("/home/registries.conf", contents=text)
    found = registries_conf.load(Files((Path("/home/registries.conf"),)))

    assert path == "~/.config/containers/registries.conf"
    assert found.full_name("ubi9:1") == "registry.access.redhat.com/ubi9:1"
