"""Credential helpers: programs on PATH that keep what they are told and note who asked for what."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NOT_FOUND = 'echo "credentials not found in native keychain"; exit 1'
_KEEPER = """\
case "$1" in
store) cat >{folder}/kept ;;
get) cat >/dev/null; test -s {folder}/kept || {{ {not_found}; }}; cat {folder}/kept ;;
erase) cat >/dev/null; rm -f {folder}/kept ;;
esac
"""


class Helper:
    """`docker-credential-NAME` with a shell script's body; `calls` are the actions it was run for.

    What it gets on standard input is in `given`, its arguments and environment are in `seen`.
    """

    def __init__(
        self, folder: Path, patch: pytest.MonkeyPatch, name: str = "test", body: str = ""
    ) -> None:
        self._folder = folder / f"helper-{name}"
        self._folder.mkdir(parents=True)
        body = body or _KEEPER.format(folder=self._folder, not_found=NOT_FOUND)
        program = self._folder / f"docker-credential-{name}"
        program.write_text(
            f'#!/bin/sh\necho "$1" >>{self._folder}/calls\necho "$@" >>{self._folder}/seen\n'
            f"env >>{self._folder}/seen\ncat >{self._folder}/input\n"
            f"cat {self._folder}/input >>{self._folder}/given\n(\n{body}\n) <{self._folder}/input\n"
        )
        program.chmod(0o755)
        patch.setenv("PATH", f"{self._folder}{os.pathsep}{os.environ['PATH']}")

    @property
    def calls(self) -> list[str]:
        """The action of each call."""
        return self._read("calls").split()

    @property
    def given(self) -> str:
        """All it got on standard input."""
        return self._read("given")

    @property
    def seen(self) -> str:
        """Its arguments and environments."""
        return self._read("seen")

    def _read(self, name: str) -> str:
        path = self._folder / name
        return path.read_text() if path.exists() else ""
