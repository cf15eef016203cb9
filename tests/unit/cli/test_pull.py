"""`pull` prints what docker prints."""

from types import SimpleNamespace

import pytest

from layerkit import digest as digests
from layerkit.cli import app, pull
from layerkit.errors import NotFoundError
from layerkit.events import LayerDone, LayerProgress, Notice, Phase, Resolved
from layerkit.ops.home import Home

TARGET, LAYER, OTHER = map(digests.of_bytes, (b"target", b"layer", b"other"))
IMAGE = object()


class FakePull:
    """Stands for the operation: keeps what it was asked, tells of two layers."""

    def __init__(self):
        self.asked = []
        self.updated = True

    def __call__(self, _home, reference, *, platform, explicit_platform, observe, **_options):
        self.asked.append((str(reference), str(platform), explicit_platform))
        if reference.repository == "library/missing":
            raise NotFoundError("manifest of missing not found")
        observe(Resolved(reference.familiar, TARGET, ((LAYER, 10), (OTHER, 5))))
        observe(LayerDone(OTHER, reused=True))
        observe(LayerProgress(LAYER, Phase.DOWNLOAD, 10, 10))
        observe(Notice("warning", "odd"))
        observe(LayerDone(LAYER, reused=False))
        return SimpleNamespace(
            name=reference.canonical, target=TARGET, image=IMAGE, updated=self.updated
        )


@pytest.fixture
def fake(monkeypatch):
    """The operation, replaced."""
    fake = FakePull()
    monkeypatch.setattr("layerkit.ops.pull.pull", fake)
    return fake


def test_the_lines_are_dockers(fake, cli):
    """Repository, layers, digest, status and full name, in this order, on stdout."""
    outcome = cli("pull", "centos:7")

    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        "7: Pulling from library/centos",
        f"{OTHER.short}: Already exists",
        f"{LAYER.short}: Pull complete",
        f"Digest: {TARGET}",
        "Status: Downloaded newer image for centos:7",
        "docker.io/library/centos:7",
    ]
    assert outcome.err.splitlines() == [f"{LAYER.short}: Downloading 10B", "warning: odd"]


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("centos", "latest: Pulling from library/centos"),
        ("quay.io/a/b:1", "1: Pulling from a/b"),
        (
            f"centos@{TARGET}",
            f"docker.io/library/centos@{TARGET}: Pulling from library/centos",
        ),
    ],
)
def test_the_first_line_says_what_comes_from_where(fake, cli, name, first):
    """It has tag or full name, and the repository without its registry."""
    assert cli("pull", name).out.splitlines()[0] == first


def test_a_current_image_is_up_to_date(fake, cli):
    """When the name points to what it did before, the status says so."""
    fake.updated = False

    assert "Status: Image is up to date for centos:7\n" in cli("pull", "centos:7").out


def test_quiet_prints_only_the_name(fake, cli):
    """-q leaves the full name, and warnings."""
    assert cli("pull", "-q", "centos:7") == (0, "docker.io/library/centos:7\n", "warning: odd\n")


def test_several_images_are_pulled_one_after_another(fake, cli):
    """One that fails is told and does not stop the others."""
    outcome = cli("pull", "-q", "a", "missing", "b")

    assert outcome.code == NotFoundError.exit_code
    assert outcome.out == "docker.io/library/a:latest\ndocker.io/library/b:latest\n"
    assert "layerkit: manifest of missing not found\n" in outcome.err


def test_a_platform_can_be_asked_for(fake, cli, monkeypatch):
    """--platform is normalised and counts as explicit; without it the host's is taken."""
    monkeypatch.setattr("os.uname", lambda: SimpleNamespace(sysname="Linux", machine="x86_64"))
    cli("pull", "a")
    cli("pull", "--platform", "linux/aarch64", "a")

    assert [asked[1:] for asked in fake.asked] == [("linux/amd64", False), ("linux/arm64", True)]


def test_an_alias_of_the_user_is_followed(fake, cli, tmp_path):
    """A short name of the user's registries.conf means the image it stands for, with its tag."""
    path = tmp_path / "home/.config/containers/registries.conf"
    path.parent.mkdir(parents=True)
    path.write_text('[aliases]\n"ubi9" = "registry.example/ubi9"\n')

    cli("pull", "ubi9:9.4", "centos")

    assert [asked[0] for asked in fake.asked] == [
        "registry.example/ubi9:9.4",
        "docker.io/library/centos:latest",
    ]


@pytest.mark.parametrize("arguments", [["UPPER"], ["--platform", "a/b/c/d", "a"]], ids=" ".join)
def test_nonsense_is_refused_before_anything_is_asked(fake, cli, arguments):
    """A bad name or platform is a usage error."""
    assert cli("pull", *arguments).code == 2
    assert fake.asked == []


def test_a_bad_file_of_credentials_is_named(fake, cli, tmp_path):
    """Credentials that cannot be understood are an error, by their file."""
    path = tmp_path / "home/.docker/config.json"
    path.parent.mkdir()
    path.write_text("{")

    outcome = cli("pull", "a")

    assert outcome.code == 2
    assert str(path) in outcome.err


def test_an_image_for_a_container_comes_with_all_lines_on_stderr(
    fake, environment, capfd, state_root
):
    """`run` keeps stdout for the program: docker's lines about a missing image are on stderr."""
    settings = app.Settings(state_root, None, "none", debug=False)
    with Home(state_root) as home:
        result = pull.pull_missing(settings, home, "centos")

    assert result.image is IMAGE
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "Unable to find image 'centos:latest' locally",
        "latest: Pulling from library/centos",
        f"{OTHER.short}: Already exists",
        "warning: odd",
        f"{LAYER.short}: Pull complete",
        f"Digest: {TARGET}",
        "Status: Downloaded newer image for centos:latest",
    ]
