"""Text files line by line, pure."""

from __future__ import annotations

import os

from layerkit.diff import lines

LIMIT = 1 << 20
"""The most bytes of a file that are compared line by line."""
_LOOK = 8192


def unified(path: bytes, old: bytes | None, new: bytes | None) -> list[str]:
    """The unified diff of two contents, None for a side without the file; lines without their ends.

    What is no text (a NUL, or no UTF-8) or too long is told in one line.
    """
    shown = os.fsdecode(path)
    names = [
        "/dev/null" if content is None else f"{side}/{shown}"
        for side, content in (("a", old), ("b", new))
    ]
    contents = [content or b"" for content in (old, new)]
    if not all(map(_is_text, contents)):
        return [f"Binary files {names[0]} and {names[1]} differ"]
    if max(map(len, contents)) > LIMIT:
        return [f"Files {names[0]} and {names[1]} are too long to be compared line by line"]
    hunks = list(lines.unified(*(content.decode() for content in contents)))
    return [f"--- {names[0]}", f"+++ {names[1]}", *hunks] if hunks else []


def _is_text(content: bytes) -> bool:
    if b"\0" in content[:_LOOK]:
        return False
    try:
        content.decode()
    except UnicodeDecodeError as error:
        # Of a file that was cut, the end of a character may be missing.
        return len(content) > LIMIT and error.start >= len(content) - 3
    return True
