"""Logging in and out, and pulling with that: real registries, real files, real helpers."""

from __future__ import annotations

import base64
import io
import json
import stat
import subprocess
import time

import pexpect
import pytest
from support import images, tars
from support import token_server as tokens
from support.debian_registry import PROGRAM, debian_registry
from support.helpers import NOT_FOUND, Helper
from support.registry import PASSWORD, USERNAME, TestRegistry, status
from support.token_server import TokenServer

from layerkit import reference as references
from layerkit.errors import AuthError
from layerkit.registry import Client, Limits
from layerkit.registry.auth import Authenticator
from layerkit.registry.challenge import Access
from layerkit.registry.credentials import anonymous
from layerkit.registry.transport import Request, Transport

LIMITS = Limits(attempts=1)


@pytest.fixture
def config(tmp_path):
    """Where docker's file of credentials is; not there yet."""
    return tmp_path / "home/.docker/config.json"


@pytest.fixture
def write(environment, config):
    """Writes docker's file."""

    def write(**settings):
        config.parent.mkdir(exist_ok=True)
        config.write_text(json.dumps(settings))

    return write


@pytest.fixture
def log_in(write):
    """Writes the file as `docker login` does."""
    return lambda host, user, password: write(auths={host: entry(user, password)})


def entry(user=USERNAME, password=PASSWORD):
    """One entry of `auths`."""
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.fixture(params=["basic", "bearer"])
def guarded(request):
    """A registry that wants a password, in each of the two ways, with an image."""
    with TestRegistry(request.param, anonymous=False) as registry:
        registry.add_image("team/app", "1", [tars.archive(tars.file("f"))])
        yield registry


@pytest.fixture
def public():
    """A registry with tokens for anybody, with an image."""
    with TestRegistry("bearer") as registry:
        registry.add_image("team/app", "1", [tars.archive(tars.file("f"))])
        yield registry


@pytest.fixture
def stdin(monkeypatch):
    """Lets commands read these bytes as their standard input."""
    return lambda data: monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


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
        """A02: one line says that the credentials were rejected, without the password."""
        host = private.partition("/")[0]
        log_in(host, "ann", "wrong-secret")

        outcome = cli("pull", private)

        assert outcome.code == 5
        assert f"registry {host} rejected the credentials of 'ann'" in outcome.err
        assert "wrong-secret" not in outcome.err

    def test_no_password(self, cli, private):
        """A02: the hint says how to log in."""
        outcome = cli("pull", private)

        assert outcome.code == 5
        assert "wants credentials" in outcome.err
        assert f"hint: `layerkit login {private.partition('/')[0]}`" in outcome.err

    def test_login_and_logout(self, cli, config, private, stdin):
        """After login a pull works, after logout it does not."""
        host = private.partition("/")[0]
        stdin(b"right\n")

        done = cli("login", "-u", "ann", "--password-stdin", host)

        assert (done.code, done.out) == (0, "Login Succeeded\n")
        assert f"warning: your credentials are stored unencrypted in {config}" in done.err
        assert cli("pull", "-q", private).code == 0
        assert cli("logout", host).out == f"Removing login credentials for {host}\n"
        assert cli("pull", "-q", private).code == 5

    def test_skopeo_uses_what_was_stored(self, cli, private, tmp_path):
        """Other tools find what login wrote, with the form and the key that they want."""
        path = tmp_path / "auth.json"
        host = private.partition("/")[0]
        assert cli("login", "-u", "ann", "-p", "right", "--authfile", path, host).code == 0

        command = ["skopeo", "inspect", "--raw", "--tls-verify=false", "--authfile", str(path)]
        done = subprocess.run([*command, f"docker://{private}"], check=True, capture_output=True)

        assert b"layers" in done.stdout

    def test_what_skopeo_stored_is_used(self, cli, environment, private, tmp_path, monkeypatch):
        """What others wrote is found, and removed by logout."""
        path = tmp_path / "auth.json"
        host = private.partition("/")[0]
        command = ["skopeo", "login", "--tls-verify=false", "-u", "ann", "-p", "right"]
        subprocess.run([*command, "--authfile", str(path), host], check=True, capture_output=True)
        monkeypatch.setenv("REGISTRY_AUTH_FILE", str(path))

        assert cli("pull", "-q", private).code == 0
        assert cli("logout", host).out == f"Removing login credentials for {host}\n"
        assert cli("pull", "-q", private).code == 5

    def test_a_wrong_password_is_not_stored(self, cli, config, private):
        """What the registry rejects does not get into the file."""
        done = cli("login", "-u", "ann", "-p", "wrong-secret", private.partition("/")[0])

        assert done.code == 5
        assert "wrong-secret" not in done.out + done.err
        assert not config.exists()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A registry with its token server, and the name of an image in it."""
    folder = tmp_path_factory.mktemp("tokens")
    layout = images.sample_from_host(folder / "layout")
    with (
        TokenServer(folder / "tokens") as server,
        debian_registry(folder / "registry", auth=server.configuration) as registry,
    ):
        yield server, registry.push(layout, "app:1")


@pytest.mark.debian(PROGRAM, "skopeo", tokens.PROGRAM)
class TestTokens:
    """Debian's docker-registry with signed tokens."""

    @pytest.fixture
    def server(self, place):
        """The token server, as new."""
        server = place[0]
        server.life = 300
        server.requests.clear()
        server.tokens.clear()
        return server

    @pytest.fixture
    def reference(self, place):
        """The image."""
        return references.parse(place[1])

    @pytest.fixture
    def speak(self):
        """A transport, and what logs in with it."""
        transport = Transport(LIMITS, "test")
        yield transport, Authenticator(transport, anonymous, LIMITS)
        transport.close()

    def test_a_pull(self, cli, server, place):
        """One token is enough for an image."""
        assert cli("pull", "-q", place[1]).code == 0
        assert len(server.requests) == 1

    def test_a_token_that_ends_on_the_way(self, server, reference):
        """A07: it is renewed once, no try is lost, and the pull goes on."""
        slept = []
        with Client(limits=LIMITS, sleep=slept.append) as client:
            server.life = 2
            manifest = _resolved(client, reference)
            _wait_until_refused(reference, server.tokens[-1])
            server.life = 300
            before = len(server.requests)

            raw = client.document(reference, manifest)

        assert len(raw) == manifest.size
        assert (len(server.requests) - before, slept) == (1, [])

    def test_a_token_that_does_not_reach(self, server, reference, speak):
        """A08: what a challenge wants more is asked for, once."""
        transport, authenticator = speak
        manifest = f"http://{reference.host}/v2/app/manifests/1"
        upload = f"http://{reference.host}/v2/app/blobs/uploads/"

        for url, method, wanted in ((manifest, "GET", 404), (upload, "POST", 202)):
            with authenticator.exchange(
                reference,
                url,
                "app",
                lambda header, url=url, method=method: transport.send(
                    Request(url, _header(header), method)
                ),
            ) as answer:
                assert answer.status in (200, wanted)

        scopes = [request.query.rpartition("scope=")[2] for request in server.requests]
        actions = [scope.removeprefix("repository%3Aapp%3A").split("%2C") for scope in scopes]
        assert [sorted(each) for each in actions] == [["pull"], ["pull", "push"]]

    def test_a_mount_from_another_repository(self, server, reference, speak):
        """A token for two repositories lets a blob of one be mounted in the other."""
        transport, authenticator = speak
        with Client(limits=LIMITS) as client:
            manifest = json.loads(client.resolve_document(reference)[1])
        target = references.parse(f"{reference.host}/copy:1")
        digest = manifest["config"]["digest"]
        url = f"http://{reference.host}/v2/copy/blobs/uploads/?mount={digest}&from=app"

        with authenticator.exchange(
            target,
            url,
            "copy",
            lambda header: transport.send(Request(url, _header(header), "POST")),
            Access("pull,push", ("app",)),
        ) as answer:
            assert answer.status == 201


def _header(value):
    return {"Authorization": value} if value else {}


def _resolved(client, reference):
    """The image's descriptor; on a slow machine a token may end before its first use."""
    while True:
        try:
            return client.resolve_document(reference)[0]
        except AuthError:
            continue


def _wait_until_refused(reference, token):
    """Wait until the registry takes a token no more."""
    transport = Transport(LIMITS, "test")
    headers = {"Authorization": f"Bearer {token}"}
    url = f"http://{reference.host}/v2/app/manifests/1"
    is_taken = True
    while is_taken:
        time.sleep(0.05)
        with transport.send(Request(url, headers)) as answer:
            is_taken = answer.status != 401
    transport.close()


class TestLogin:
    """`login` at each kind of registry, with what can be wrong in a home directory."""

    def test_it_is_stored_for_the_next_command(self, cli, config, guarded, stdin):
        """The file is the user's alone, has docker's form, and serves the next pull."""
        stdin(f"{PASSWORD}\n".encode())

        done = cli(
            "login", "--username", USERNAME, "--password-stdin", f"http://{guarded.host}/v2/"
        )

        assert done.code == 0, done.err
        assert json.loads(config.read_text()) == {"auths": {guarded.host: entry()}}
        assert stat.S_IMODE(config.stat().st_mode) == 0o600
        assert cli("pull", "-q", f"{guarded.host}/team/app:1").code == 0
        assert PASSWORD not in done.out + done.err

    def test_a_password_in_the_arguments_is_warned_of(self, cli, guarded):
        """-p works, and says that others can read it."""
        done = cli("login", "-u", USERNAME, "-p", PASSWORD, guarded.host)

        assert done.code == 0
        assert (
            "warning: using --password via the CLI is insecure. Use --password-stdin." in done.err
        )

    def test_a_helper_keeps_it(self, cli, write, config, guarded, tmp_path, monkeypatch):
        """C02: with credsStore the password goes to the helper's standard input, nowhere else."""
        helper = Helper(tmp_path, monkeypatch)
        write(credsStore="test", detachKeys="ctrl-e")

        done = cli("login", "-u", USERNAME, "-p", PASSWORD, guarded.host)

        assert done.code == 0, done.err
        assert "unencrypted" not in done.err
        assert json.loads(config.read_text()) == {
            "credsStore": "test",
            "detachKeys": "ctrl-e",
            "auths": {guarded.host: {}},
        }
        assert cli("pull", "-q", f"{guarded.host}/team/app:1").code == 0
        assert cli("logout", guarded.host).out.startswith("Removing login")
        assert cli("logout", guarded.host).out == f"Not logged in to {guarded.host}\n"
        assert helper.calls == ["store", "get", "get", "erase", "get"]
        assert PASSWORD in helper.given
        assert PASSWORD not in helper.seen

    def test_what_is_stored_is_tried_first(self, cli, log_in, guarded, config):
        """Without a name the stored credentials are used, and the file stays as it is."""
        log_in(guarded.host, USERNAME, PASSWORD)
        before = config.read_bytes()

        done = cli("login", guarded.host)

        assert done.code == 0
        assert done.out.splitlines() == [
            f"Authenticating with existing credentials... [Username: {USERNAME}]",
            "Login Succeeded",
        ]
        assert config.read_bytes() == before

    def test_what_is_stored_may_be_wrong(self, cli, log_in, guarded, stdin):
        """Stale credentials are told of, and others wanted, which takes a terminal."""
        log_in(guarded.host, "old", "stale-secret")
        stdin(b"")

        done = cli("login", guarded.host)

        assert done.code == 2
        assert "warning: login did not succeed: " in done.err
        assert "Cannot perform an interactive login from a non TTY device" in done.err
        assert "stale-secret" not in done.out + done.err

    def test_a_terminal_is_asked(self, layerkit_command, guarded, config):
        """Name and password are asked for; the password does not show."""
        terminal = pexpect.spawn(layerkit_command[0], ["login", guarded.host], encoding="utf-8")
        terminal.expect("Username: ")
        terminal.sendline(USERNAME)
        terminal.expect("Password: ")
        terminal.sendline(PASSWORD)
        terminal.expect("Login Succeeded")
        shown = terminal.before
        terminal.expect(pexpect.EOF)
        terminal.close()

        assert terminal.exitstatus == 0
        assert PASSWORD not in shown
        assert json.loads(config.read_text()) == {"auths": {guarded.host: entry()}}


class TestPull:
    """Where a pull gets its credentials from."""

    @pytest.mark.parametrize("anonymous", [True, False], ids=["anonymous", "private"])
    def test_a_bearer_token(self, cli, log_in, anonymous):
        """A token is fetched from where the challenge says, once, and used for everything."""
        with TestRegistry("bearer", anonymous=anonymous) as registry:
            registry.add_image("app", "1", [tars.archive(tars.file("f"))])
            if not anonymous:
                log_in(registry.host, USERNAME, PASSWORD)

            outcome = cli("pull", f"{registry.host}/app:1")

            assert outcome.code == 0, outcome.err
            assert len(registry.paths("^/token")) == 1

    def test_a_helper_without_credentials(self, cli, write, public, tmp_path, monkeypatch):
        """C03: a helper that has none is no reason for a word."""
        helper = Helper(tmp_path, monkeypatch, body=NOT_FOUND)
        write(credsStore="test")

        outcome = cli("pull", "-q", f"{public.host}/team/app:1")

        assert (outcome.code, outcome.err) == (0, "")
        assert helper.calls == ["get"]

    def test_a_helper_that_is_missing(self, cli, write, config, public):
        """C04: one warning names helper and file, and what is public comes."""
        write(credsStore="missing-for-sure")

        outcome = cli("pull", "-q", f"{public.host}/team/app:1")

        assert outcome.code == 0
        (line,) = outcome.err.splitlines()
        assert line.startswith("warning: ")
        assert "docker-credential-missing-for-sure is not installed" in line
        assert str(config) in line

    def test_a_helper_that_is_missed(self, cli, write, guarded):
        """C04: what is private does not come, and the hint repeats why."""
        write(credsStore="missing-for-sure")

        outcome = cli("pull", "-q", f"{guarded.host}/team/app:1")

        assert outcome.code == 5
        hint = outcome.err.splitlines()[-1]
        assert hint.startswith("hint: ")
        assert "docker-credential-missing-for-sure is not installed" in hint

    def test_stale_credentials(self, cli, log_in, public):
        """A14: what is public comes all the same, with one warning."""
        log_in(public.host, "me", "stale-secret")

        outcome = cli("pull", "-q", f"{public.host}/team/app:1")

        assert outcome.code == 0, outcome.err
        assert outcome.err.count("warning: ") == 1
        assert "stale-secret" not in outcome.err

    def test_the_smallest_part_of_a_registry(
        self, cli, environment, guarded, tmp_path, monkeypatch
    ):
        """C07: podman's keys for folders are used for what is in them."""
        path = tmp_path / "auth.json"
        auths = {f"{guarded.host}/team": entry(), guarded.host: entry("other", "x")}
        path.write_text(json.dumps({"auths": auths}))
        monkeypatch.setenv("REGISTRY_AUTH_FILE", str(path))

        assert cli("pull", "-q", f"{guarded.host}/team/app:1").code == 0

    @pytest.mark.parametrize(
        "arguments",
        [("pull", "-q"), ("layers",), ("ls",), ("cat",), ("login",)],
        ids=lambda arguments: arguments[0],
    )
    def test_a_file_can_be_named(self, cli, log_in, guarded, tmp_path, arguments):
        """C07: --authfile goes before everything else, for every command that asks registries."""
        log_in(guarded.host, "other", "x")
        path = tmp_path / "named.json"
        path.write_text(json.dumps({"auths": {guarded.host: entry()}}))
        name = f"{guarded.host}/team/app:1"
        target = {"cat": f"{name}:/f", "login": guarded.host}.get(arguments[0], name)

        assert cli(*arguments, target).code != 0
        outcome = cli(*arguments, "--authfile", path, target)

        assert outcome.code == 0, outcome.err

    def test_a_named_file_must_be_there(self, cli, tmp_path):
        """A file of credentials that is named and missing is an error."""
        outcome = cli("pull", "--authfile", tmp_path / "missing.json", "127.0.0.1:1/app")

        assert outcome.code == 2
        assert f"no file of credentials at {tmp_path}/missing.json" in outcome.err

    def test_credentials_in_the_environment(self, cli, log_in, guarded, monkeypatch):
        """C10: DOCKER_AUTH_CONFIG goes before the files."""
        log_in(guarded.host, "other", "x")
        monkeypatch.setenv("DOCKER_AUTH_CONFIG", json.dumps({"auths": {guarded.host: entry()}}))

        assert cli("pull", "-q", f"{guarded.host}/team/app:1").code == 0

    @pytest.mark.parametrize(
        "value", ["secret-value", '{"auths": {"x": {"auth": "secret-value"}}}']
    )
    def test_the_environment_may_be_broken(self, cli, monkeypatch, value):
        """C10: the error names the variable and never its value."""
        monkeypatch.setenv("DOCKER_AUTH_CONFIG", value)

        outcome = cli("pull", "127.0.0.1:1/app")

        assert outcome.code == 2
        assert "cannot read credentials in DOCKER_AUTH_CONFIG: " in outcome.err
        assert "secret-value" not in outcome.err

    def test_what_is_denied(self, cli, public):
        """A17: the message says that it may not exist; the exit code is that of a registry's no."""
        public.fault("manifests", status(403, '{"errors":[{"code":"DENIED","message":"no"}]}'))

        outcome = cli("pull", "-q", f"{public.host}/team/app:1")

        assert outcome.code == 5
        assert "denies manifest" in outcome.err
        assert "or it does not exist: DENIED: no" in outcome.err


def test_no_head_is_needed(cli, public):
    """A15: a registry that refuses every HEAD for a blob, as ECR Public does, serves a pull."""

    def refuse_head(request, serve):
        return (status(401) if request.method == "HEAD" else _as_it_is)(request, serve)

    public.fault("/blobs/", refuse_head)

    assert cli("pull", "-q", f"{public.host}/team/app:1").code == 0


def _as_it_is(request, serve):
    return serve(request)
