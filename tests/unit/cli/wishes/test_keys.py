"""`--detach-keys` names bytes as docker does."""

import pytest

from layerkit.cli.wishes.keys import DETACH_KEYS, detach_keys
from layerkit.errors import UsageError


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("ctrl-p,ctrl-q", DETACH_KEYS),
        ("ctrl-@", (0,)),
        ("ctrl-a,ctrl-z", (1, 26)),
        ("ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", (27, 28, 29, 30, 31)),
        ("a,B,-", (97, 66, 45)),
        ("DEL", (127,)),
        ("", ()),
    ],
    ids=lambda each: f"RT-T04-{each}" if isinstance(each, str) else "",
)
def test_keys(text, codes):
    """Each key is the byte that a terminal sends for it; no keys are no way to detach."""
    assert detach_keys(text) == codes


@pytest.mark.parametrize(
    "text",
    [",", "a,", "ctrl-", "ctrl-P", "ctrl-1", "ctrl-pp", "ab", "del", "ctrl p", "\u00e4", "^P"],
)
def test_bad_keys(text):
    """What is no single key is refused."""
    with pytest.raises(UsageError, match=r"^invalid --detach-keys: no key '"):
        detach_keys(text)
