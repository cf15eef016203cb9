"""A pull with credentials: Basic at a real registry, tokens at ours, and what fails says why."""

import base64
import json

import pytest
from support import images, tars
from support.debian_registry import PROGRAM, debian_registry
from support.registry import PASSWORD, USERNAME, TestRegistry


@pytest.fixture
def log_in(monkeypatch, tmp_path):
    """Writes a config.json as `docker login` does."""

    def write(host, user, password):
        auth = base64.b64encode(f"{user}:{password}".encode()).decode()
        (tmp_path / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    return write


@pytest.fixture(scope="module")
def private(tmp_path_factory):
    """A real registry that wants a password, with an image; the image's name."""
    folder = tmp_path_factory.mktemp("private")
    layout = images.sample_from_host(folder / "layout")
    with debian_registry(folder / "registry", users={"ann": "right"}) as registry:
        yield registry.push(layout, "app:1", credentials="ann:right")


@pytest.mark.debian(PROGRAM, "skopeo", "perl")
class TestBasic:
    """Debian's docker-registry with htpasswd."""

    def test_the_right_password(self, cli, log_in, private):
        """A02: the image comes, and the password shows nowhere."""
        log_in(private.partition("/")[0], "ann", "right")

        outcome = cli("pull", private)

        assert outcome.code == 0, outcome.err
        assert "right" not in outcome.out + outcome.err

    def test_the_wrong_password(self, cli, log_in, private):
        """A02: one line says that the login was refused, without the password."""
        log_in(private.partition("/")[0], "ann", "wrong-secret")

        outcome = cli("pull", private)

        assert outcome.code == 5
        assert "refuses the login" in outcome.err
        assert "wrong-secret" not in outcome.err

    def test_no_password(self, cli, private):
        """A02: the hint says where credentials are read from."""
        outcome = cli("pull", private)

        assert outcome.code == 5
        assert "wants credentials" in outcome.err
        assert "hint: credentials" in outcome.err


@pytest.mark.parametrize("anonymous", [True, False], ids=["anonymous", "private"])
def test_a_bearer_token(cli, log_in, anonymous):
    """A token is fetched from where the challenge says, once, and used for everything."""
    with TestRegistry("bearer", anonymous=anonymous) as registry:
        registry.add_image("app", "1", [tars.archive(tars.file("f"))])
        if not anonymous:
            log_in(registry.host, USERNAME, PASSWORD)

        outcome = cli("pull", f"{registry.host}/app:1")

        assert outcome.code == 0, outcome.err
        assert len(registry.paths("^/token")) == 1
