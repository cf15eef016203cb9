"""`python -m layerkit`."""

from __future__ import annotations

from layerkit.cli import entry

if __name__ == "__main__":
    entry()
