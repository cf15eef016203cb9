"""`ls`, `cat` and `layers` look at the image for the platform that is asked for, or at none."""

from __future__ import annotations

import pytest
from support import tars
from support.lookers import make_container
from support.registry import TestRegistry

from layerkit.errors import NotFoundError, UsageError

PLATFORMS = ("linux/amd64", "linux/arm64")
COMMANDS = [
    pytest.param(["ls"], "", id="ls"),
    pytest.param(["cat"], ":/name", id="cat"),
    pytest.param(["layers", "--files"], "", id="layers"),
]


def config(platform):
    """What an image's config says of its platform."""
    return dict(zip(("os", "architecture"), platform.split("/"), strict=True))


@pytest.fixture(scope="module")
def registry():
    """A registry with `multi:1` for two platforms, and `arm:1` for one, without an index."""
    with TestRegistry() as running:
        images = {
            platform: running.add_image(
                "multi",
                None,
                [tars.archive(tars.file("name", platform), tars.file(platform.replace("/", "-")))],
                config=config(platform),
            ).descriptor
            for platform in PLATFORMS
        }
        running.add_index("multi", "1", images)
        running.add_image("arm", "1", [tars.archive()], config=config("linux/arm64"))
        yield running


@pytest.mark.parametrize(("command", "path"), COMMANDS)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_of_an_index_the_platform_is_taken(registry, cli, command, path, platform):
    """In the registry an index has an image for each; the one that is asked for is read."""
    name = f"{registry.host}/multi:1"

    outcome = cli("--progress", "none", *command, "--platform", platform, name + path)

    assert outcome.code == 0
    other = next(each for each in PLATFORMS if each != platform)
    for text in (platform, other):
        found = text in outcome.out or text.replace("/", "-") in outcome.out
        assert found == (text == platform)


@pytest.mark.parametrize(("command", "path"), COMMANDS)
def test_an_image_in_the_registry_for_another_platform_is_refused(registry, cli, command, path):
    """Where there is no index, the config tells; a platform that no index has is an error, too."""
    for name, said in (
        ("arm:1", "is for platform linux/arm64, wanted linux/amd64"),
        ("multi:1", "the index offers linux/amd64, linux/arm64"),
    ):
        wanted = "linux/amd64" if name == "arm:1" else "linux/s390x"
        text = f"{registry.host}/{name}{path}"
        outcome = cli("--progress", "none", *command, "--platform", wanted, text)

        assert (outcome.code, outcome.out) == (NotFoundError.exit_code, "")
        assert said in outcome.err


@pytest.mark.parametrize(("command", "path"), COMMANDS)
def test_an_image_here_for_another_platform_is_refused(registry, cli, command, path):
    """It is told as docker tells it, and the registry is not asked."""
    name = f"{registry.host}/multi:1"
    assert cli("pull", "-q", "--platform", "linux/amd64", name).code == 0
    before = len(registry.requests)

    outcome = cli(*command, "--platform", "linux/arm64", name + path)

    told = (
        f"layerkit: image with reference {name} was found but does not match the specified "
        "platform: wanted linux/arm64, actual: linux/amd64\n"
    )
    assert outcome == (NotFoundError.exit_code, "", told)
    assert cli(*command, "--platform", "linux/x86_64", name + path).code == 0
    assert len(registry.requests) == before


@pytest.mark.root
def test_a_container_has_the_platform_of_its_image(registry, cli, state_root):
    """A container of an image for another platform is refused as the image is."""
    name = f"{registry.host}/multi:1"
    cli("pull", "-q", "--platform", "linux/arm64", name)
    make_container(state_root, name, "try")

    assert cli("ls", "--platform", "linux/amd64", "try").code == NotFoundError.exit_code
    assert cli("cat", "--platform", "linux/arm64", "try:/name").out == "linux/arm64"


def test_a_platform_that_is_none_is_refused(registry, cli):
    """The option is checked before anything is looked for."""
    outcome = cli("ls", "--platform", "a/b/c/d", f"{registry.host}/multi:1")

    assert (outcome.code, outcome.out) == (UsageError.exit_code, "")
    assert "invalid platform 'a/b/c/d'" in outcome.err
