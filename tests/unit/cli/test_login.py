"""`login` and `logout` say what docker says."""

import io
import json
from types import SimpleNamespace

import pytest

from layerkit.ops.login import Login

CONFLICT = "conflicting options: cannot specify both --password and --password-stdin"


class FakeLogin:
    """Stands for the operation: keeps what it was asked."""

    def __init__(self):
        self.asked = []
        self.helper = ""

    def __call__(self, _client, registry, user, path):
        self.asked.append((registry, user.username, user.secret, str(path)))
        return Login(registry, self.helper)


@pytest.fixture
def fake(monkeypatch):
    """The operation, replaced."""
    fake = FakeLogin()
    monkeypatch.setattr("layerkit.ops.login.login", fake)
    return fake


@pytest.fixture
def stdin(monkeypatch):
    """Lets the command read these bytes."""
    return lambda data: monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


@pytest.mark.parametrize(
    ("arguments", "given", "message"),
    [
        (["-u", "a", "-p", "b", "--password-stdin"], b"", CONFLICT),
        (["--password-stdin"], b"b", "the --password-stdin option requires --username to be set"),
        (["-u", "a", "-p", ""], b"", "password is empty"),
        (["-u", "a", "--password-stdin"], b"\n", "password is empty"),
        (["-u", "", "-p", "b"], b"", "username is empty"),
        (["-u", "a", "--password-stdin"], b"\xff", "the password is not UTF-8"),
        (["-u", "a", "--password-stdin"], b"x" * 65537, "a password of more than 65536 bytes"),
        ([], b"", "Cannot perform an interactive login from a non TTY device"),
        (["-u", "a"], b"", "Cannot perform an interactive login from a non TTY device"),
        (["-p", "a"], b"", "Cannot perform an interactive login from a non TTY device"),
        (["a", "b"], b"", "got unexpected extra argument"),
        (["-u", "a", "-p", "b", "a b"], b"", "'a b' is not a registry: it names no valid host"),
    ],
    ids=str,
)  # fmt: skip
def test_what_makes_no_sense_is_refused(fake, cli, stdin, arguments, given, message):
    """Nobody is asked when options contradict each other or something is missing."""
    stdin(given)

    outcome = cli("login", *arguments)

    assert (outcome.code, fake.asked) == (2, [])
    assert f"layerkit: {message}" in outcome.err


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_the_password_comes_from_standard_input(fake, cli, stdin, tmp_path, end):
    """The end of the line is no part of the password, other spaces are."""
    stdin(b" p w " + end)

    outcome = cli("login", "-u", "ann", "--password-stdin", "q.io")

    path = str(tmp_path / "home/.docker/config.json")
    assert (outcome.code, outcome.out) == (0, "Login Succeeded\n")
    assert fake.asked == [("q.io", "ann", " p w ", path)]


def test_a_helper_is_no_reason_for_a_warning(fake, cli):
    """Only a file is not encrypted; without a server it is Docker Hub."""
    fake.helper = "pass"

    outcome = cli("login", "-u", "ann", "-p", "x")

    assert outcome.err == (
        "warning: using --password via the CLI is insecure. Use --password-stdin.\n"
    )
    assert [asked[0] for asked in fake.asked] == ["docker.io"]


def test_what_is_missing_is_asked_for(fake, cli, monkeypatch):
    """At a terminal a missing name or password is asked for, the password hidden."""
    prompts = []

    def prompt(text, **options):
        prompts.append((text, options.get("hide_input", False)))
        return text.lower()

    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("click.prompt", prompt)

    assert cli("login", "q.io").code == 0
    assert cli("login", "-u", "ann", "q.io").code == 0
    assert [asked[1:3] for asked in fake.asked] == [("username", "password"), ("ann", "password")]
    assert prompts == [("Username", False), ("Password", True), ("Password", True)]


def test_logout_says_what_it_did(cli, tmp_path):
    """A login that was there is removed, one that was not is told of; the Hub has docker's key."""
    path = tmp_path / "home/.docker/config.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"auths": {"q.io": {"auth": "YTpi"}, "docker.io": {}}}))

    outcomes = [
        cli("logout", *server) for server in (["https://q.io"], ["q.io"], [], ["docker.io"])
    ]

    assert [(outcome.code, outcome.out) for outcome in outcomes] == [
        (0, "Removing login credentials for q.io\n"),
        (0, "Not logged in to q.io\n"),
        (0, "Removing login credentials for https://index.docker.io/v1/\n"),
        (0, "Not logged in to https://index.docker.io/v1/\n"),
    ]


def test_a_file_can_be_named(fake, cli, tmp_path):
    """--authfile says where a login goes, and where a logout looks."""
    path = tmp_path / "auth.json"
    cli("login", "-u", "a", "-p", "b", "--authfile", path, "q.io")
    path.write_text(json.dumps({"auths": {"q.io": {}}}))

    assert [asked[3] for asked in fake.asked] == [str(path)]
    assert cli("logout", "--authfile", path, "q.io").out.startswith("Removing")
