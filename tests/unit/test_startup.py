"""What a short command loads: a program takes as long to start as its imports do.

Counted are modules, not milliseconds. Who needs one more here raises the number; who loads what
speaks HTTP, unpacks or draws for a command that only looks has put an import in the wrong place.
"""

import pytest
from support import homes, tars
from support.modules import loaded_by

from layerkit.ops import container_config
from layerkit.ops.containers import folder_of, new_id
from layerkit.ops.diff import diff_container
from layerkit.ops.home import Home
from layerkit.store.records import ContainerRecord

HEAVY = frozenset((
    "asyncio", "concurrent.futures", "difflib", "email", "html", "http.client", "importlib.metadata",
    "isal", "logging", "multiprocessing", "platformdirs", "requests", "rich", "shutil", "ssl",
    "subprocess", "tempfile", "tomllib", "traceback", "urllib.request", "urllib3", "zstandard",
))  # fmt: skip
"""Of others; each takes as long as all that a short command needs of layerkit."""
WRITING = frozenset((
    "layerkit.layer.archive", "layerkit.layer.compression", "layerkit.ops.install",
    "layerkit.ops.unpacking", "layerkit.registry", "layerkit.snapshot.disk",
    "layerkit.snapshot.erofs.image", "layerkit.store.ingest",
))  # fmt: skip
"""Of layerkit itself: what brings images in, and what makes views of them."""

_COMMAND = "from layerkit.cli import main; assert main({!r}) == {}"
_RUN = "import layerkit.cli.configuration, layerkit.cli.run, layerkit.ops.home, layerkit.ops.run"
"""What `run` is made of, all of it loaded before there is a second process."""


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """A state directory with an image, and a container of each kind that changed nothing.

    Their folders are made by hand, which takes no right to mount anything.
    """
    folder = tmp_path_factory.mktemp("startup")
    with Home(folder / "state") as home:
        layers = [tars.archive(tars.file("file", "text"))]
        image = homes.load_layers(home, folder / "layout", layers)
        for driver in ("erofs", "overlay"):
            record = ContainerRecord(new_id(), driver, "app:1", image.manifest, 0.0, driver)
            home.store.database.put_container(record)
            place = folder_of(home, record)
            (place / "upper").mkdir(parents=True)
            (place / "config.json").write_bytes(container_config.encode(homes.CONFIG))
            assert diff_container(home, driver) == []  # which makes the view that is read
    return folder / "state"


def ours(loaded):
    """Those of layerkit."""
    return {name for name in loaded if name.partition(".")[0] == "layerkit"}


@pytest.mark.parametrize(
    ("command", "budget"),
    [
        pytest.param(["--version"], 10, id="version"),
        pytest.param(["images"], 30, id="images"),
        pytest.param(["diff", "erofs"], 75, id="diff"),
        pytest.param(["diff", "overlay"], 75, id="diff-of-an-overlay"),
        pytest.param(["inspect", "erofs"], 80, id="inspect"),
        pytest.param(["snapshot", "ls"], 60, id="snapshot"),
    ],
)
def test_a_command_that_looks_loads_little(environment, state, command, budget):
    """Nothing heavy, nothing that writes, and of layerkit a known number of modules."""
    loaded = loaded_by(_COMMAND.format([f"--root={state}", *command], 0))

    assert sorted(HEAVY.intersection(loaded)) == []
    assert sorted(WRITING.intersection(loaded)) == []
    assert len(ours(loaded)) <= budget


def test_run_loads_no_more_than_it_needs():
    """A container starts without what brings images in, draws, or starts other programs."""
    loaded = loaded_by(_RUN)

    assert sorted((HEAVY | WRITING).intersection(loaded)) == []
    assert len(ours(loaded)) <= 175


def test_help_loads_nothing_of_the_commands(environment):
    """The list of commands is known without them: of the command line four modules are enough."""
    loaded = loaded_by(_COMMAND.format(["--help"], 0))

    assert sorted(HEAVY.intersection(loaded) - {"shutil"}) == []  # which knows the terminal's width
    assert ours(loaded) <= {
        "layerkit", "layerkit.errors", "layerkit.cli", "layerkit.cli.app", "layerkit.cli.boundary",
        "layerkit.cli.environment", "layerkit.cli.output",
    }  # fmt: skip


@pytest.mark.parametrize(("arguments", "code"), [(["version"], 0), (["history", "x"], 3)], ids=str)
def test_a_command_without_a_network_loads_none(environment, arguments, code):
    """Commands that talk to no registry and draw nothing do not load what does."""
    loaded = loaded_by(_COMMAND.format(arguments, code))

    assert not {"requests", "rich", "urllib3"}.intersection(loaded)


def test_what_is_heavy_is_seen():
    """A module that is loaded shows in the list."""
    assert {"tomllib", "requests"} <= set(loaded_by(f"{_RUN}; import tomllib, requests"))
