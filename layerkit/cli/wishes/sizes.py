"""Sizes and numbers as docker reads them (go-units RAMInBytes)."""

from __future__ import annotations

from layerkit.errors import UsageError

_LETTERS = "bBkKmMgGtTpPiI"
_FACTORS = {"": 1, "b": 1} | {
    spelled: 1 << 10 * power
    for power, letter in enumerate("kmgtp", start=1)
    for spelled in (letter, f"{letter}b", f"{letter}ib")
}
_LARGEST = 2**63 - 1
_DIGITS = 19


def size(text: str, option: str) -> int:
    """The bytes that `32m`, `1.5g`, `64MiB` or `512` says; every unit counts by 1024.

    Raises `UsageError` for all else, negative sizes included.
    """
    number = text.rstrip(_LETTERS)
    factor = _FACTORS.get(text[len(number) :].lower())
    whole, _, part = number.removesuffix(" ").partition(".")
    if factor is not None and is_number(whole + part) and len(part) <= _DIGITS:
        found: int = int(whole + part) * factor // 10 ** len(part)
        if found <= _LARGEST:
            return found
    raise UsageError(f"invalid {option} {text!r}: wanted a size, such as 512m or 1.5g")


def is_number(text: str) -> bool:
    """Whether `text` has ASCII digits only, and not too many for any number that is asked for."""
    return text.isascii() and text.isdecimal() and len(text) <= 2 * _DIGITS


def integer(text: str, option: str, lowest: int = 0, highest: int = _LARGEST) -> int:
    """The whole number in `text`; raises `UsageError` for none, or one out of range."""
    digits = text.removeprefix("-")
    if is_number(digits) and lowest <= (number := int(text)) <= highest:
        return number
    wanted = f"{lowest} or more" if highest == _LARGEST else f"{lowest} to {highest}"
    raise UsageError(f"invalid {option} {text!r}: wanted a whole number, {wanted}")
