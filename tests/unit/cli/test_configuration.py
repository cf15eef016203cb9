"""A configuration file means what it says, or is refused with the place of the mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from layerkit.cli.configuration import Configuration, parse
from layerkit.errors import UsageError
from layerkit.limits import Limits


def of(text):
    """The configuration of one file."""
    return parse([("/c.toml", text)])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", Configuration()),
        ("# nothing\n[limits]\n", Configuration()),
        ('root = "/srv/kit"', Configuration(root=Path("/srv/kit"))),
        ('driver = "overlay"', Configuration(driver="overlay")),
        ('progress = "none"', Configuration(progress="none")),
    ],
)
def test_global_options(text, wanted):
    """What a file does not name is left open."""
    assert of(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('layer_size = "20G"', Limits(layer_size=20 << 30)),
        ("layer_size = 5000", Limits(layer_size=5000)),
        ("expansion = 50", Limits(expansion=50)),
        ('expansion_from = "0"', Limits(expansion_from=0)),
        ("entries = 10", Limits(entries=10)),
        ("implied_folders = 10", Limits(implied_folders=10)),
        ('keep_free = "1.5GiB"', Limits(keep_free=3 << 29)),
        ("keep_free = 0", Limits(keep_free=0)),
    ],
)
def test_limits(text, wanted):
    """Sizes are numbers of bytes or text; the other limits stay as they are."""
    assert of(f"[limits]\n{text}").limits == wanted


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("rot = '/x'", "unknown key 'rot', known are root, driver, progress, limits"),
        ("[limits]\nlayersize = 1", "unknown key 'limits.layersize', known are layer_size, "),
        ("[limit]\nlayer_size = 1", "unknown key 'limit'"),
        ("layer_size = 1", "unknown key 'layer_size'"),
        ("[limits.layer_size]\nx = 1", "limits.layer_size: wanted a size"),
        ("limits = 1", "limits: wanted a table, got 1"),
        ("root = 1", "root: wanted an absolute path, got 1"),
        ("root = 'there'", "root: wanted an absolute path, got 'there'"),
        ("root = '~/there'", "root: wanted an absolute path"),
        ('root = "/a\\u0000b"', "root: wanted an absolute path"),
        ("driver = 'zfs'", "driver: wanted one of auto, erofs, overlay, copy, got 'zfs'"),
        ("driver = []", "driver: wanted one of auto, erofs, overlay, copy, got []"),
        ("progress = true", "progress: wanted one of auto, plain, json, none, got True"),
        ("[limits]\nlayer_size = '20 bytes'", "limits.layer_size: wanted a size"),
        ("[limits]\nlayer_size = -1", "limits.layer_size: wanted a size"),
        ("[limits]\nlayer_size = 1.5", "limits.layer_size: wanted a size"),
        ("[limits]\nlayer_size = true", "limits.layer_size: wanted a size"),
        ("[limits]\nkeep_free = inf", "limits.keep_free: wanted a size"),
        ("[limits]\nentries = '10'", "limits.entries: wanted a number from 1 on, got '10'"),
        ("[limits]\nentries = 0", "limits.entries: wanted a number from 1 on"),
        ("[limits]\nexpansion = true", "limits.expansion: wanted a number from 1 on"),
        ("[limits]\nimplied_folders = 2.0", "limits.implied_folders: wanted a number"),
        ("root = x", "Invalid value (at line 1, column 8)"),
        ("root = '/a'\nroot = '/b'", "Cannot overwrite a value"),
    ],
)
def test_a_mistake_is_named(text, error):
    """CZ-20: file and key are in the message; nothing is ignored, nothing guessed."""
    with pytest.raises(UsageError) as caught:
        of(text)

    assert caught.value.message.startswith("invalid configuration /c.toml: ")
    assert error in caught.value.message
    assert "\n" not in caught.value.message


def test_the_last_file_wins_key_by_key():
    """The user's file changes what it names; the system's holds for all else."""
    system = "root = '/srv'\nprogress = 'plain'\n[limits]\nentries = 5\nkeep_free = '1G'"
    user = "progress = 'none'\n[limits]\nentries = 7"

    assert parse([("/system", system), ("/user", user)]) == Configuration(
        root=Path("/srv"), progress="none", limits=Limits(entries=7, keep_free=1 << 30)
    )


def test_every_file_is_checked():
    """A mistake is told even where another file's value would hold."""
    with pytest.raises(UsageError, match="invalid configuration /system: driver"):
        parse([("/system", "driver = 1"), ("/user", "driver = 'overlay'")])
