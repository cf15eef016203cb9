"""The examples of docs/library.md, each run as a program of its own."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from support import archives, images, tars
from support.registry import PASSWORD, USERNAME, TestRegistry

import layerkit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PAGE = Path(__file__).parents[2] / "docs" / "library.md"
_EXAMPLE = re.compile(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```\n", re.MULTILINE | re.DOTALL)


class Example(NamedTuple):
    """A program of the page, and what the page says that it prints."""

    code: str
    output: str


def examples(text: str) -> Iterator[Any]:
    """The examples of a page in Markdown, each with the title of its section as id."""
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        for found in _EXAMPLE.finditer(section):
            marks = pytest.mark.root if "layerkit.run(" in found[1] else ()
            yield pytest.param(Example(*found.groups()), id=section.splitlines()[0], marks=marks)


EXAMPLES = list(examples(PAGE.read_text()))
BASE = tars.archive(
    tars.directory("etc"),
    tars.file("etc/app.conf", b"port = 80\n", mode=0o600),
    tars.directory("usr"),
    tars.file("usr/logo.png", bytes(2000)),
    tars.symlink("usr/new.png", "logo.png"),
)
CACHE = tars.archive(
    tars.file("etc/app.conf", b"port = 8080\n", mode=0o600),
    tars.directory("var"),
    tars.file("var/cache", bytes(5000)),
)
COPY = tars.archive(tars.whiteout("var"), tars.file("usr/copy.png", bytes(2000)))
OTHER = tars.archive(
    tars.whiteout("var"),
    tars.file("etc/app.conf", b"port = 8081\n", mode=0o600),
    tars.file("etc/app.d", b""),
)


@pytest.fixture(scope="module")
def hosts():
    """What stands for each host of the page: a registry with its images."""
    with TestRegistry() as registry, TestRegistry(login="basic") as private:
        for each in (registry, private):
            each.add_image("app", "1", [BASE, CACHE, COPY])
        registry.add_image("app", "2", [BASE, CACHE, OTHER])
        registry.add_image("tools", "1", [images.sample_layer()], images.sample_config())
        yield {
            "registry.example": registry.host,
            "private.example": private.host,
            '("user", "secret")': str((USERNAME, PASSWORD)),
        }


def replaced(text: str, words: Mapping[str, str]) -> str:
    """The text with other words."""
    return functools.reduce(lambda done, word: done.replace(word, words[word]), words, text)


def fill(folder: Path, code: str) -> None:
    """Put into `folder` what the example finds there: an archive, and the images it opens."""
    layer = tars.archive(tars.file("f", b"bytes"))
    (folder / "archive.tar").write_bytes(
        archives.docker_1_10(archives.Image([layer], ["loaded:1"]))
    )
    with layerkit.open_home(folder / "state") as home:
        for name in re.findall(r'open_image\(home, "(.+?)"\)', code):
            layerkit.pull(home, name)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_prints_what_the_page_says(example, hosts, environment, tmp_path):
    """Each example works as it stands, and its output is the one below it."""
    code = replaced(example.code, hosts)
    fill(tmp_path, code)

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    names = {host: word for word, host in hosts.items()}
    assert replaced(done.stdout, names) == example.output
    assert done.returncode == 0


def test_every_example_has_an_output():
    """No example of the page is left out because nothing is said of what it prints."""
    assert len(EXAMPLES) == PAGE.read_text().count("```python") > 0


def test_every_exported_name_is_on_the_page():
    """What users may rely on is told to them."""
    text = PAGE.read_text()

    assert [
        name for name in layerkit.__all__ if not re.search(rf"`{name}\b|layerkit\.{name}\b", text)
    ] == []
