"""What a short command loads: the time that a program takes to start is that of its imports.

Counted are modules, not milliseconds. Who needs one more here raises the number; who loads what
speaks HTTP, unpacks or draws for a command that only looks has put an import in the wrong place.
"""

import json
import subprocess
import sys
from dataclasses import asdict

import pytest
from support import homes, tars

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

_COMMAND = """
import json, os, sys
sys.stdout = open(os.devnull, "w")
from layerkit import cli
code = cli.main(sys.argv[1:])
sys.stdout = sys.__stdout__
print(json.dumps([code, sorted(sys.modules)]))
"""
_RUN = """
import json, sys
import layerkit.cli
import layerkit.cli.configuration, layerkit.cli.run, layerkit.ops.home, layerkit.ops.run
print(json.dumps([0, sorted(sys.modules)]))
"""
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
            (place / "config.json").write_text(json.dumps(asdict(homes.CONFIG)))
            assert diff_container(home, driver) == []  # which makes the view that is read
    return folder / "state"


def modules(program, *arguments):
    """What a Python has loaded after a program, of a command that went well."""
    command = [sys.executable, "-I", "-c", program, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    code, names = json.loads(done.stdout)
    assert code == 0, done.stderr
    return set(names)


@pytest.mark.parametrize(
    ("command", "budget"),
    [
        pytest.param(["--version"], 10, id="version"),
        pytest.param(["images"], 30, id="images"),
        pytest.param(["diff", "erofs"], 65, id="diff"),
        pytest.param(["diff", "overlay"], 65, id="diff-of-an-overlay"),
        pytest.param(["inspect", "erofs"], 60, id="inspect"),
        pytest.param(["snapshot", "ls"], 50, id="snapshot"),
    ],
)
def test_a_command_that_looks_loads_little(state, command, budget):
    """Nothing heavy, nothing that writes, and of layerkit a known number of modules."""
    found = modules(_COMMAND, f"--root={state}", *command)

    assert sorted(found & HEAVY) == []
    assert sorted(found & WRITING) == []
    assert len({name for name in found if name.partition(".")[0] == "layerkit"}) <= budget


def test_run_loads_no_more_than_it_needs():
    """A container starts without what brings images in, draws, or starts other programs."""
    found = modules(_RUN)

    assert sorted(found & (HEAVY | WRITING)) == []
    assert len({name for name in found if name.partition(".")[0] == "layerkit"}) <= 110


def test_what_is_heavy_is_seen():
    """A module that is loaded shows in the list."""
    assert {"tomllib", "layerkit"} <= modules(_RUN.replace("import json", "import json, tomllib"))
