"""The build is told where it is known."""

from importlib import metadata

import pytest

from layerkit.ops import build


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (None, "unknown"),
        ("", "unknown"),
        ("{", "unknown"),
        ("[]", "unknown"),
        ('{"url": "file:///x", "dir_info": {"editable": true}}', "unknown"),
        ('{"vcs_info": {"vcs": "git", "commit_id": "1a2b3c4d5e6f"}}', "1a2b3c4"),
    ],
)
def test_the_build_is_what_pip_noted(monkeypatch, text, wanted):
    """The commit is known when the package came from a repository, and never guessed."""

    class Distribution:
        def read_text(self, name):
            assert name == "direct_url.json"
            return text

    monkeypatch.setattr(metadata, "distribution", lambda _name: Distribution())

    assert build.commit() == wanted
