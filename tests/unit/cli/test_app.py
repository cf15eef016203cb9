"""The program itself: its commands, and the options before them."""

import importlib
import re

import pytest
from support import tars

import layerkit
from layerkit.cli import app, environment
from layerkit.errors import UsageError


@pytest.mark.parametrize("name", app.COMMANDS)
def test_the_table_has_the_help_of_each_command(name):
    """The list of commands says of each what it says of itself."""
    command = importlib.import_module(f"layerkit.cli.{name}").command

    assert command.name == name
    assert command.get_short_help_str(limit=200).removesuffix(".") == app.COMMANDS[name]


@pytest.mark.parametrize("arguments", [[], ["--help"]], ids=["nothing", "--help"])
def test_help_lists_the_commands(cli, arguments):
    """Without a command, or with --help, every command stands there with one line."""
    outcome = cli(*arguments)

    assert outcome.code == 0
    for name, text in app.COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(text)}$", outcome.out, re.MULTILINE)


@pytest.mark.parametrize("option", ["-v", "--version"])
def test_version_has_dockers_form(cli, option):
    """`-v` prints version and build in one line."""
    outcome = cli(option)

    assert outcome.code == 0
    assert re.fullmatch(
        rf"layerkit version {re.escape(layerkit.__version__)}, build ([0-9a-f]{{7}}|unknown)\n",
        outcome.out,
    )


def test_the_state_directory_is_an_option(cli, state_root, tmp_path):
    """--root goes before LAYERKIT_ROOT."""
    assert cli("--root", tmp_path / "other", "images").code == 0

    assert (tmp_path / "other" / "store.db").exists()
    assert not state_root.exists()


@pytest.fixture
def configuration(environment, tmp_path, monkeypatch):
    """A configuration file that LAYERKIT_CONFIG names; to be written."""
    path = tmp_path / "config.toml"
    monkeypatch.setenv("LAYERKIT_CONFIG", str(path))
    return path


def test_the_state_directory_can_be_configured(cli, configuration, monkeypatch, tmp_path):
    """LAYERKIT_ROOT goes before the configuration's root, which goes before the usual place."""
    configuration.write_text(f'root = "{tmp_path}/configured"\n')
    assert cli("images").code == 0
    assert not (tmp_path / "configured").exists()

    monkeypatch.delenv("LAYERKIT_ROOT")
    assert cli("images").code == 0
    assert (tmp_path / "configured/store.db").exists()


def test_global_options_can_be_configured(cli, configuration, tmp_path):
    """The configuration says how progress is shown, unless the option does."""
    configuration.write_text('progress = "json"\n')
    tar = tmp_path / "root.tar"
    tar.write_bytes(tars.archive(tars.file("x")))

    assert '"event"' in cli("import", tar, "a:1").err
    assert cli("--progress", "none", "import", tar, "b:1").err == ""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["pull", "--help"], ["version"]], ids=" ".join
)
def test_a_bad_configuration_does_not_stop_help(cli, configuration, arguments):
    """What needs no configuration does not read it."""
    configuration.write_text("nonsense")

    assert cli(*arguments).code == 0


def test_a_bad_configuration_is_told(cli, configuration):
    """A typo ends every command that does something, with file and key."""
    configuration.write_text("rot = '/x'")

    outcome = cli("images")

    assert outcome.code == UsageError.exit_code
    assert outcome.err.startswith(f"layerkit: invalid configuration {configuration}: unknown key")


def test_options_have_the_documented_values():
    """Only drivers and ways of progress that exist can be named."""
    choices = {
        each.name: list(each.type.choices)
        for each in app.group.params
        if each.name in ("driver", "progress")
    }

    assert choices == {
        "driver": ["auto", "erofs", "overlay", "copy"],
        "progress": ["auto", "plain", "json", "none"],
    }


def test_the_default_root_is_in_the_help(cli):
    """The help says where things are kept."""
    assert str(environment.SYSTEM_ROOT) in cli("--help").out
