"""Ways in which docker's users write options that click does not know (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

_TRUE = ("true", "True", "TRUE", "t", "T", "1")
_FALSE = ("false", "False", "FALSE", "f", "F", "0")  # strconv.ParseBool
_ALIASES = {"--net": "--network", "--dns-opt": "--dns-option"}


def as_click(
    arguments: Sequence[str], valued: Collection[str], flags: Mapping[str, str]
) -> list[str]:
    """The arguments as click understands them; what follows the last option stays as it is.

    `valued` are the names of options with a value; `flags` those without one, each with what says
    its opposite, "" where leaving it out does. `--rm=true` becomes `--rm`, `-m=1g` `-m1g`, and the old
    names of options become the new ones.
    """
    done: list[str] = []
    waiting = list(arguments)
    while waiting and waiting[0].startswith("-") and waiting[0] not in ("-", "--"):
        word = waiting.pop(0)
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            name = _ALIASES.get(name, name)
            takes_next = name in valued and not equals
            done += _long(name, equals, value, flags)
        else:
            text, takes_next = _short(word, valued)
            name, equals, value = text.partition("=")
            done += _long(name, equals, value, flags) if name in flags else [text]
        if takes_next and waiting:
            done.append(waiting.pop(0))
    return [*done, *waiting]


def _long(name: str, equals: str, value: str, flags: Mapping[str, str]) -> list[str]:
    if name in flags and value in _TRUE:
        return [name]
    if name in flags and value in _FALSE:
        return [flags[name]] if flags[name] else []
    return [name + equals + value]


def _short(word: str, valued: Collection[str]) -> tuple[str, bool]:
    """Options with one letter as click writes them, and whether the next word is a value."""
    for place, letter in enumerate(word.partition("=")[0][1:], start=1):
        if f"-{letter}" in valued:
            value = word[place + 1 :]
            kept = value[1:] if value.startswith("=") and value != "=" else value
            return word[: place + 1] + kept, not value
    return word, False
