"""A state directory for the use cases."""

from __future__ import annotations

import pytest

from layerkit.ops.home import Home


@pytest.fixture
def home(tmp_path):
    """A new state directory."""
    with Home(tmp_path / "state") as home:
        yield home
