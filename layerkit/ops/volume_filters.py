"""Which volumes somebody wants to see or to lose, by docker's filters (pure)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from layerkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from layerkit.ops.volumes import Volume

_LISTING = ("dangling", "name", "label", "driver")
_PRUNING = ("label", "label!")
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


def listed(filters: Sequence[str], used: Collection[str]) -> Callable[[Volume], bool]:
    """Whether a volume is to be listed; `used` are the names of those that a container uses.

    Of several names one must fit, of all else each. Raises `UsageError` for an unknown filter.
    """
    wanted = _parsed(filters, _LISTING)
    names = [_pattern(value) for key, value in wanted if key == "name"]
    tests = [_test(key, value, used) for key, value in wanted if key != "name"]

    def fits(volume: Volume) -> bool:
        has_name = not names or any(each.search(volume.name) for each in names)
        return has_name and all(test(volume) for test in tests)

    return fits


def pruned(filters: Sequence[str], *, everything: bool) -> Callable[[Volume], bool]:
    """Whether an unused volume is to go: one without a name, or any with `everything`.

    Raises `UsageError` for an unknown filter.
    """
    tests = [_test(key, value, ()) for key, value in _parsed(filters, _PRUNING)]
    return lambda volume: (everything or volume.unnamed) and all(test(volume) for test in tests)


def _parsed(filters: Sequence[str], known: Sequence[str]) -> list[tuple[str, str]]:
    found = []
    for text in filters:
        key, equals, value = text.partition("=")
        if not equals or key not in known:
            raise UsageError(f"unsupported filter {text!r}: wanted {'=…, '.join(known)}=…")
        found.append((key, value))
    return found


def _pattern(value: str) -> re.Pattern[str]:
    try:
        return re.compile(value)
    except re.error as error:
        raise UsageError(f"invalid filter 'name={value}': {error}") from None


def _test(key: str, value: str, used: Collection[str]) -> Callable[[Volume], bool]:
    match key:
        case "dangling":
            wanted = _TRUTHS.get(value.lower())
            if wanted is None:
                raise UsageError(f"invalid filter 'dangling={value}': wanted true or false")
            return lambda volume: (volume.name not in used) is wanted
        case "driver":
            return lambda _volume: value == "local"
        case "label!":
            return lambda volume: not _has_label(volume, value)
    return lambda volume: _has_label(volume, value)


def _has_label(volume: Volume, value: str) -> bool:
    key, equals, wanted = value.partition("=")
    labels = dict(volume.labels)
    return key in labels and (not equals or labels[key] == wanted)
