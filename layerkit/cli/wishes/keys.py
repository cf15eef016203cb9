"""`--detach-keys`: a sequence of keys (moby/term)."""

from __future__ import annotations

from layerkit.errors import UsageError

DETACH_KEYS = (16, 17)
"""ctrl-p, ctrl-q."""

_CONTROLS = "@abcdefghijklmnopqrstuvwxyz[\\]^_"
_DELETE = 127


def detach_keys(text: str) -> tuple[int, ...]:
    r"""The bytes that these keys send, () for an empty text, which turns detaching off.

    A key is `ctrl-` and a letter or one of `@[\]^_`, `DEL`, or one character. Raises `UsageError`.
    """
    return tuple(map(_key, text.split(","))) if text else ()


def _key(text: str) -> int:
    control = text.removeprefix("ctrl-")
    if len(control) == 1 and control != text and control in _CONTROLS:
        return _CONTROLS.index(control)
    if len(text) == 1 and text.isascii():
        return ord(text)
    if text == "DEL":
        return _DELETE
    raise UsageError(
        f"invalid --detach-keys: no key {text!r}: wanted one character, DEL, or ctrl- and a letter "
        "or one of @ [ \\ ] ^ _"
    )
