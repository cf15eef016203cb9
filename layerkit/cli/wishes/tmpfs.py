"""`--tmpfs`: a file system in memory, with options of mount(8)."""

from __future__ import annotations

from layerkit.cli.wishes import sizes
from layerkit.cli.wishes.paths import target
from layerkit.errors import UsageError
from layerkit.mount import TmpfsMount

# What a flag does, and how its opposite, which is what holds without it, is written.
_FLAGS = {
    "ro": "rw",
    "exec": "noexec",
    "suid": "nosuid",
    "dev": "nodev",
    "sync": "async",
    "noatime": "atime",
    "nodiratime": "diratime",
    "relatime": "norelatime",
    "strictatime": "nostrictatime",
}
_USUAL = {usual: flag for flag, usual in _FLAGS.items()}
_OCTAL = 8
_LARGEST_MODE = 0o7777


def tmpfs(text: str) -> TmpfsMount:
    """The mount of `--tmpfs TARGET[:OPTIONS]`; raises `UsageError`."""
    path, _, options = text.partition(":")
    what = f"--tmpfs {text!r}"
    place = target(path, what)
    bytes_, mode, flags = None, 0o1777, dict.fromkeys(_FLAGS, False)
    for word in options.split(",") if options else ():
        match word.partition("="):
            case "size", "=", value:
                bytes_ = sizes.size(value, f"size of {what}") or None
            case "mode", "=", value:
                mode = octal(value, what)
            case flag, "", _ if flag in _FLAGS:
                flags[flag] = True
            case usual, "", _ if usual in _USUAL:
                flags[_USUAL[usual]] = False
            case _:
                raise _unknown(word, what)
    return TmpfsMount(place, bytes_, mode, tuple(flag for flag, wanted in flags.items() if wanted))


def octal(text: str, what: str) -> int:
    """The mode of a file in octal digits; raises `UsageError`."""
    try:
        mode = int(text, _OCTAL) if sizes.is_number(text) else -1
    except ValueError:
        mode = -1
    if not 0 <= mode <= _LARGEST_MODE:
        raise UsageError(f"invalid mode {text!r} of {what}: wanted octal digits, such as 1777")
    return mode


def _unknown(word: str, what: str) -> UsageError:
    known = ", ".join(f"{flag}, {usual}" for flag, usual in _FLAGS.items())
    return UsageError(f"invalid {what}: no option {word!r}: wanted size=SIZE, mode=MODE, {known}")
