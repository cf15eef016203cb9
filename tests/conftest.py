"""What every test can ask for, which tests run here, and what none of them may leave behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import hypothesis
import pytest
from support import cases, engines
from support.leaks import left_behind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# A failure seen once is seen again: examples come from a fixed seed, not from the clock.
hypothesis.settings.register_profile("short", derandomize=True, deadline=None, max_examples=100)
hypothesis.settings.register_profile("long", derandomize=True, deadline=None, max_examples=5_000)

_SETTINGS_OF_OTHERS = ("LAYERKIT_", "DOCKER_", "REGISTRY_", "CONTAINERS_", "XDG_", "SSL_CERT_")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def pytest_addoption(parser):
    """Know `--long`."""
    parser.addoption("--long", action="store_true", help="run also what takes minutes")


def pytest_configure(config):
    """Let property tests try as many examples as the run has time for."""
    hypothesis.settings.load_profile("long" if config.getoption("--long") else "short")


@pytest.hookimpl(trylast=True)
def pytest_generate_tests(metafunc):
    """Put the cases that a docstring begins with into the names of its tests."""
    documented = (metafunc.function, metafunc.cls)
    found = [case for each in documented for case in cases.of_docstring(each.__doc__ or "")]
    if found:
        metafunc.fixturenames.append("case_of_docstring")
        metafunc.parametrize("case_of_docstring", [None], ids=[" ".join(found)])


def pytest_itemcollected(item):
    """Let `-k cases` choose every test whose name holds a case, such as `[WH-01]`."""
    item.extra_keyword_matches |= cases.keywords(item.name)


def pytest_collection_modifyitems(config, items):
    """Skip what cannot run here, each with its reason."""
    for item in items:
        for reason in _obstacles(config, item):
            item.add_marker(pytest.mark.skip(reason=reason))


def _obstacles(config, item) -> Iterator[str]:
    if item.get_closest_marker("root") and os.geteuid() != 0:
        yield "needs root"
    if item.get_closest_marker("long") and not config.getoption("--long"):
        yield "a long run: only with --long"
    wanted = {program for marker in item.iter_markers("debian") for program in marker.args}
    if missing := sorted(program for program in wanted if shutil.which(program) is None):
        yield f"needs {', '.join(missing)} (as root, make setup installs them)"


@pytest.fixture(scope="session", autouse=True)
def _session_leaves_nothing(tmp_path_factory) -> Iterator[None]:
    """Fail the session if a mount, loop device, process or temporary file outlives the tests."""
    folder = tmp_path_factory.getbasetemp()
    temporary = folder / "tmp"
    temporary.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(temporary))
        patch.setattr(tempfile, "tempdir", str(temporary))
        yield
        if left := left_behind(folder, temporary):
            pytest.fail("the tests left behind:\n" + "\n".join(left), pytrace=False)


class Outcome(NamedTuple):
    """What a command ended with and wrote."""

    code: int
    out: str
    err: str


@pytest.fixture
def state_root(tmp_path) -> Path:
    """The state directory of this test's layerkit commands; not made yet."""
    return tmp_path / "state"


@pytest.fixture
def environment(monkeypatch, tmp_path, state_root) -> None:
    """The environment of a user who has set nothing but `LAYERKIT_ROOT`, with an empty home."""
    for name in list(os.environ):
        if name.startswith(_SETTINGS_OF_OTHERS) or name.lower() in _PROXIES:
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("LAYERKIT_ROOT", str(state_root))


@pytest.fixture
def cli(environment, capfd) -> Callable[..., Outcome]:
    """Runs one layerkit command in this process: `cli("pull", "-q", name)` gives an `Outcome`."""
    from layerkit.cli import main  # noqa: PLC0415  tests of the parts do not need it

    def run(*arguments: str | os.PathLike[str]) -> Outcome:
        capfd.readouterr()
        code = main([os.fspath(argument) for argument in arguments])
        return Outcome(code, *capfd.readouterr())

    return run


@pytest.fixture
def layerkit_command(environment) -> list[str]:
    """The installed program, to be started as a process of its own."""
    return [str(Path(sys.executable).with_name("layerkit"))]


@pytest.fixture(
    params=[
        pytest.param("podman", marks=pytest.mark.debian(*engines.PODMAN_PROGRAMS)),
        pytest.param("docker", marks=pytest.mark.debian(*engines.DOCKER_PROGRAMS)),
    ]
)
def engine(request, environment, tmp_path) -> engines.Engine:
    """podman, then docker with a daemon of its own; for tests that are marked as for root."""
    if request.param == "podman":
        return engines.podman(tmp_path / "podman")
    return request.getfixturevalue("docker")


@pytest.fixture
def docker(environment) -> Iterator[engines.Engine]:
    """docker with a daemon of its own; for tests that are marked as for root."""
    with contextlib.ExitStack() as stack:
        try:
            docker = stack.enter_context(engines.docker())
        except engines.CannotStartError as error:
            pytest.skip(str(error))
        yield docker
