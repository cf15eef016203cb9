"""What the environment says is read in one place, and nothing of it can stop a command by surprise."""

import io
import os
from pathlib import Path

import pytest

from layerkit.cli import environment
from layerkit.errors import UsageError
from layerkit.ops.login import credentials

HOME = Path("/home/somebody")
USER = credentials("me", "x")


@pytest.fixture
def home(fs, monkeypatch):
    """An empty home directory, and no variable of interest set."""
    for name in list(os.environ):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(HOME))
    fs.create_dir(HOME)
    return HOME


def found(authfile=None):
    """The files of credentials without the home directory in front."""
    files = environment.credential_files(authfile)
    return [(path.removeprefix(f"{HOME}/"), text) for path, text in files]


@pytest.mark.parametrize(
    ("option", "variable", "configured", "user", "wanted"),
    [
        (Path("/a"), "/b", Path("/c"), 0, "/a"),
        (None, "/b", Path("/c"), 0, "/b"),
        (None, "/b", None, 1000, "/b"),
        (None, None, Path("/c"), 1000, "/c"),
        (None, "", None, 0, "/var/lib/layerkit"),
        (None, None, None, 0, "/var/lib/layerkit"),
        (None, None, None, 1000, f"{HOME}/.local/share/layerkit"),
    ],
)
def test_the_state_directory(home, monkeypatch, option, variable, configured, user, wanted):
    """Option, variable, configuration, then the usual place of root or of the user."""
    monkeypatch.setattr(os, "geteuid", lambda: user)
    if variable is not None:
        monkeypatch.setenv("LAYERKIT_ROOT", variable)

    assert str(environment.state_root(option, configured)) == wanted


def test_xdg_moves_the_users_state(home, monkeypatch):
    """A user's XDG_DATA_HOME is respected."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_DATA_HOME", "/data")

    assert environment.state_root(None) == Path("/data/layerkit")


def test_a_relative_root_is_made_absolute(home, monkeypatch):
    """The state directory stays the same one wherever a command goes."""
    monkeypatch.setenv("LAYERKIT_ROOT", "here")

    assert environment.state_root(None).is_absolute()
    assert environment.state_root(Path("there")).is_absolute()


def configured(fs, files):
    """The configuration, with these files there."""
    for path, entries in files.items():
        fs.create_file(path, contents=f"[limits]\nentries = {entries}\n")
    return environment.configuration().limits.entries


SYSTEM, USER, NAMED = "/etc/layerkit/config.toml", f"{HOME}/.config/layerkit/config.toml", "/n.toml"


@pytest.mark.parametrize(
    ("variables", "files", "wanted"),
    [
        ({}, {}, 1_000_000),
        ({}, {SYSTEM: 1}, 1),
        ({}, {SYSTEM: 1, USER: 2}, 2),
        ({"XDG_CONFIG_HOME": "/x"}, {USER: 2, "/x/layerkit/config.toml": 3}, 3),
        ({"LAYERKIT_CONFIG": NAMED}, {SYSTEM: 1, USER: 2, NAMED: 4}, 4),
        ({"LAYERKIT_CONFIG": ""}, {SYSTEM: 1, NAMED: 4}, 1),
        ({"HOME": "/etc/passwd"}, {"/etc/passwd": 5}, 1_000_000),
    ],
    ids=["none", "system", "user", "XDG", "named", "not named", "no home"],
)
def test_configuration_files(home, fs, monkeypatch, variables, files, wanted):
    """The user's file goes before the system's; LAYERKIT_CONFIG names one instead of both."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert configured(fs, files) == wanted


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, "cannot read configuration /n.toml: no such file or directory"),
        (b"\xff", "cannot read configuration in /n.toml: not UTF-8"),
        (b"#" * (1 << 21), "cannot read configuration in /n.toml: more than 1048576 bytes"),
        (b"x", "invalid configuration /n.toml: "),
    ],
    ids=["missing", "no text", "too large", "no TOML"],
)
def test_a_configuration_that_was_named_must_be_one(home, fs, monkeypatch, content, error):
    """Whoever names a file wants it; any that is there must be readable and right."""
    monkeypatch.setenv("LAYERKIT_CONFIG", NAMED)
    if content is not None:
        fs.create_file(NAMED, contents=content)

    with pytest.raises(UsageError, match=error):
        environment.configuration()


def test_a_folder_in_the_place_of_a_configuration(home, fs):
    """What is there and cannot be read is told, and not taken for nothing."""
    fs.create_dir(USER)

    with pytest.raises(UsageError, match=f"cannot read configuration {USER}: is a directory"):
        environment.configuration()


def test_no_credentials_are_no_error(home):
    """A user who never logged in has no files."""
    assert environment.credential_files() == []


def test_credentials_of_docker_and_podman_are_found_in_their_order(home, fs, monkeypatch):
    """C07: docker's file comes first, then podman's, that of the session before that of the user."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1")
    everywhere(fs)

    assert found() == [
        (".docker/config.json", "docker"),
        ("/run/user/1/containers/auth.json", "session"),
        (".config/containers/auth.json", "user"),
    ]
    assert str(environment.login_file()) == f"{HOME}/.docker/config.json"


def everywhere(fs):
    """Put a file in each place."""
    fs.create_file(HOME / ".config/containers/auth.json", contents="user")
    fs.create_file("/run/user/1/containers/auth.json", contents="session")
    fs.create_file(HOME / ".docker/config.json", contents="docker")
    fs.create_file("/named.json", contents="named")
    fs.create_file("/option.json", contents="option")


def test_a_session_without_a_name_has_its_place(home, fs, monkeypatch):
    """Without XDG_RUNTIME_DIR podman's file of the session is where podman looks then."""
    monkeypatch.setattr(os, "geteuid", lambda: 7)
    fs.create_file("/run/containers/7/auth.json", contents="7")

    assert found() == [("/run/containers/7/auth.json", "7")]


@pytest.mark.parametrize(
    ("option", "variables", "wanted"),
    [
        (None, {"REGISTRY_AUTH_FILE": "/named.json"}, ["named"]),
        (Path("/option.json"), {"REGISTRY_AUTH_FILE": "/named.json"}, ["option"]),
        (None, {"DOCKER_AUTH_CONFIG": "{}"}, ["{}", "docker", "user"]),
        (
            None,
            {"DOCKER_AUTH_CONFIG": "{}", "REGISTRY_AUTH_FILE": "/named.json"},
            ["{}", "named"],
        ),
        (Path("/option.json"), {"DOCKER_AUTH_CONFIG": "{}"}, ["option"]),
        (None, {"DOCKER_AUTH_CONFIG": "", "REGISTRY_AUTH_FILE": ""}, ["docker", "user"]),
    ],
    ids=["C07-variable", "C07-option", "C10", "C10-variable", "C10-option", "C10-empty"],
)
def test_what_is_named_goes_before(home, fs, monkeypatch, option, variables, wanted):
    """A file that is named stands alone; the text of DOCKER_AUTH_CONFIG goes before files."""
    everywhere(fs)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert [text for _, text in found(option)] == wanted


@pytest.mark.parametrize(
    ("option", "variable", "wanted"),
    [
        (None, None, f"{HOME}/.docker/config.json"),
        (None, "/named.json", "/named.json"),
        (Path("/option.json"), "/named.json", "/option.json"),
    ],
    ids=str,
)
def test_login_writes_what_is_read_first(home, monkeypatch, option, variable, wanted):
    """The file that a login goes to is one that the next command reads."""
    if variable:
        monkeypatch.setenv("REGISTRY_AUTH_FILE", variable)

    assert str(environment.login_file(option)) == wanted


def test_variables_move_the_files(home, fs, monkeypatch):
    """DOCKER_CONFIG and XDG_CONFIG_HOME take the place of the usual folders."""
    monkeypatch.setenv("DOCKER_CONFIG", "/docker")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/config")
    for path in ("/docker/config.json", "/config/containers/auth.json"):
        fs.create_file(path, contents=path)
    fs.create_file(HOME / ".docker/config.json", contents="not asked for")

    assert [path for path, _ in found()] == ["/docker/config.json", "/config/containers/auth.json"]


def test_a_file_that_cannot_be_read_is_skipped(home, fs, monkeypatch):
    """A folder in its place, or no permission, is as if the file were not there."""
    fs.create_dir(HOME / ".docker/config.json")
    monkeypatch.setenv("REGISTRY_AUTH_FILE", "/missing.json")

    assert found() == []


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b" " * ((1 << 20) + 1), "more than 1048576 bytes"),
        (b"\xff{}", "not UTF-8"),
    ],
    ids=["too large", "no text"],
)
def test_a_file_that_is_no_text_is_an_error(home, fs, contents, message):
    """What cannot be a file of credentials is refused, by its name."""
    fs.create_file(HOME / ".docker/config.json", contents=contents)

    with pytest.raises(UsageError, match=rf"{HOME}/.docker/config.json: {message}"):
        environment.credential_files()


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, {}),
        ({"HTTPS_PROXY": "http://p:1"}, {"https": "http://p:1"}),
        ({"http_proxy": "http://p:2"}, {"http": "http://p:2"}),
        ({"HTTPS_PROXY": "http://up", "https_proxy": "http://low"}, {"https": "http://up"}),
        ({"HTTPS_PROXY": "", "https_proxy": "http://low"}, {"https": "http://low"}),
        ({"no_proxy": "localhost,.corp"}, {"no_proxy": "localhost,.corp"}),
        ({"FTP_PROXY": "http://p", "ALL_PROXY": "http://p"}, {}),
    ],
)
def test_proxies_are_read_as_docker_reads_them(home, monkeypatch, variables, wanted):
    """The names in capitals go first, empty ones count as not set."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert environment.proxies() == wanted


@pytest.mark.parametrize(
    ("variables", "is_terminal", "wanted"),
    [
        ({"TERM": "xterm"}, True, True),
        ({}, True, True),
        ({"TERM": "xterm"}, False, False),
        ({"TERM": "dumb"}, True, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
    ],
)
def test_only_a_terminal_that_can_is_drawn_on(home, monkeypatch, variables, is_terminal, wanted):
    """Nothing moves without a terminal, on a dumb one, or with NO_COLOR."""
    stream = io.StringIO()
    stream.isatty = lambda: is_terminal
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert environment.animates(stream) == wanted


def test_the_host_has_the_name_that_registries_use(monkeypatch):
    """What uname says becomes the platform of an image."""
    fields = ("Linux", "host", "6.1", "#1", "aarch64")
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(fields))

    assert str(environment.host_platform()) == "linux/arm64"


@pytest.mark.parametrize(
    ("setting", "wanted"),
    [
        ("KEY=value", "KEY=value"),
        ("KEY=", "KEY="),
        ("HERE", "HERE=a=b"),
        ("EMPTY", "EMPTY="),
        ("MISSING", "MISSING"),
        ("", ""),
    ],
)
def test_a_variable_is_passed_on(home, monkeypatch, setting, wanted):
    """A name alone gets the value it has here, everything else stays as it is."""
    monkeypatch.setenv("HERE", "a=b")
    monkeypatch.setenv("EMPTY", "")

    assert environment.passed_on(setting) == wanted


def test_the_client_gets_credentials_and_proxies(home, fs, monkeypatch, capsys):
    """What was read goes to the one who connects, and what that warns of to the user."""
    given = []
    monkeypatch.setattr(
        "layerkit.ops.connect.connect",
        lambda *found, warn, user, jobs: given.append((*found, user)) or warn("odd"),
    )
    monkeypatch.setenv("HTTP_PROXY", "http://p")
    fs.create_file(HOME / ".docker/config.json", contents="{}")

    environment.client()
    environment.client(user=USER)

    places = environment.registry_places()
    assert given == [
        ([(f"{HOME}/.docker/config.json", "{}")], {"http": "http://p"}, places, None),
        ([], {"http": "http://p"}, places, USER),
    ]
    assert capsys.readouterr().err == "warning: odd\n" * 2


def test_a_file_that_was_asked_for_must_be_there(home):
    """A named file that is missing is an error, not the same as no credentials."""
    with pytest.raises(UsageError, match=r"^no file of credentials at /missing\.json$"):
        environment.client(Path("/missing.json"))


def test_where_registries_are_configured(home):
    """The user's files before the machine's, containerd's before docker's before podman's."""
    places = environment.registry_places()

    assert [str(folder) for folder in places.certs] == [
        f"{HOME}/.config/containerd/certs.d",
        f"{HOME}/.config/docker/certs.d",
        f"{HOME}/.config/containers/certs.d",
        "/etc/containerd/certs.d",
        "/etc/docker/certs.d",
        "/etc/containers/certs.d",
    ]
    assert [str(path) for path in places.daemons] == [
        f"{HOME}/.config/docker/daemon.json",
        "/etc/docker/daemon.json",
    ]
    assert [str(path) for path in places.registries.main] == [
        f"{HOME}/.config/containers/registries.conf",
        "/etc/containers/registries.conf",
    ]
    assert [str(path) for path in places.registries.folders] == [
        "/etc/containers/registries.conf.d",
        f"{HOME}/.config/containers/registries.conf.d",
    ]
    assert places.authorities == ()


def test_authorities_of_one_command(home):
    """What the caller trusts is kept beside what is configured."""
    assert environment.registry_places([Path("/ca.pem")]).authorities == (Path("/ca.pem"),)


def test_xdg_moves_the_configuration_of_registries(home, monkeypatch):
    """XDG_CONFIG_HOME takes the place of `~/.config`."""
    monkeypatch.setenv("XDG_CONFIG_HOME", "/config")
    places = environment.registry_places()

    assert str(places.certs[0]) == "/config/containerd/certs.d"
    assert str(places.registries.main[0]) == "/config/containers/registries.conf"


def test_a_named_registries_conf_is_the_only_one(home, fs, monkeypatch):
    """CONTAINERS_REGISTRIES_CONF takes the place of the main file; drop-ins stay."""
    fs.create_file("/named.conf")
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", "/named.conf")

    assert environment.registry_places().registries.main == (Path("/named.conf"),)
    assert len(environment.registry_places().registries.folders) == 2


def test_a_named_registries_conf_has_to_be_there(home, monkeypatch):
    """A typing error must not switch off what the file blocks."""
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", "/nmaed.conf")

    with pytest.raises(UsageError, match="CONTAINERS_REGISTRIES_CONF names '/nmaed"):
        environment.registry_places()


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (f"{HOME}/.config/containers/registries.conf", "r.io/centos:7"),
        (f"{HOME}/.config/containers/registries.conf.d/own.conf", "r.io/centos:7"),
        ("/etc/containers/registries.conf", "centos:7"),
        ("/etc/containers/registries.conf.d/shortnames.conf", "centos:7"),
    ],
)
def test_short_names_are_the_users_own(home, fs, path, wanted):
    """An alias is the user's; the machine's list would give docker's names another meaning."""
    fs.create_file(path, contents='[aliases]\ncentos = "r.io/centos"')

    assert environment.full_name("centos:7") == wanted
