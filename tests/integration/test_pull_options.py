"""What the options of `pull` do, seen by the registry."""

from __future__ import annotations

import random

import pytest
from support import tars
from support.uploads import UploadRegistry

LAYER = tars.archive(tars.file("a", b"a"))
LARGE = tars.archive(tars.file("large", random.Random(8).randbytes(24 << 20)))


@pytest.fixture
def registry():
    """A registry with three tags and one image that comes in pieces."""
    with UploadRegistry() as registry:
        for tag in ("1", "2", "latest"):
            registry.add_image("app", tag, [LAYER])
        registry.add_image("large", "1", [LARGE], compression="")
        yield registry


def test_all_tags_are_pulled(registry, cli):
    """`-a`: each tag of the repository with its lines, and the name of the repository last."""
    pulled = cli("pull", "-a", f"{registry.host}/app")

    assert pulled.code == 0
    named = cli("images", "--format", "{{.Tag}}").out.split()
    assert sorted(named) == ["1", "2", "latest"]
    assert [line for line in pulled.out.splitlines() if ": Pulling from" in line] == [
        f"{tag}: Pulling from app" for tag in ("1", "2", "latest")
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-a", "app:1"), "names one image, wanted a repository"),
        (("--limit-rate", "fast", "app"), "invalid --limit-rate 'fast'"),
        (("--limit-rate", "0", "app"), "invalid --limit-rate '0'"),
        (("--jobs", "0", "app"), "--jobs"),
        (("--jobs", "many", "app"), "--jobs"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_options_that_make_no_sense_are_refused(registry, cli, arguments, message):
    """Before anything is asked, with what was wanted."""
    *options, name = arguments

    refused = cli("pull", *options, f"{registry.host}/{name}")

    assert refused.code != 0
    assert message in refused.err
    assert registry.requests == []


def test_one_job_is_one_connection_at_a_time(registry, cli):
    """`--jobs 1`: pieces come one after another."""
    assert cli("pull", "-q", "--jobs", "1", f"{registry.host}/large:1").code == 0

    pieces = [request for request in registry.requests if request.range]
    assert len(pieces) > 1
    assert {request.open for request in pieces} == {1}


def test_a_limited_pull_is_whole(registry, cli):
    """`--limit-rate`: slower, and the same image."""
    assert cli("pull", "-q", "--limit-rate", "60M", f"{registry.host}/large:1").code == 0

    assert cli("cat", f"{registry.host}/large:1:/large").code == 0
