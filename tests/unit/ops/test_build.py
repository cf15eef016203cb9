"""The build is told where it is known."""

import sys

import pytest

from layerkit import __version__
from layerkit.ops import build


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (None, "unknown"),
        ("", "unknown"),
        ("{", "unknown"),
        ("[]", "unknown"),
        ("\N{SNOWMAN}", "unknown"),
        ('{"url": "file:///x", "dir_info": {"editable": true}}', "unknown"),
        ('{"vcs_info": {"vcs": "git", "commit_id": "1a2b3c4d5e6f"}}', "1a2b3c4"),
    ],
)
def test_the_build_is_what_pip_noted(monkeypatch, tmp_path, text, wanted):
    """The commit is known when the package came from a repository, and never guessed."""
    notes = tmp_path / f"layerkit-{__version__}.dist-info"
    notes.mkdir()
    if text is not None:
        (notes / "direct_url.json").write_text(text, encoding="utf-8")
    monkeypatch.setattr(sys, "path", ["/nowhere", str(tmp_path)])

    assert build.commit() == wanted
