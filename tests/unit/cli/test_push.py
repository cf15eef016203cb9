"""`push` prints what docker prints."""

import json
import signal
import subprocess
from types import SimpleNamespace

import pytest
from support import homes, stores, tars
from support.processes import until
from support.uploads import UploadRegistry, only, silent

from layerkit import digest as digests
from layerkit import reference
from layerkit.errors import NotFoundError
from layerkit.events import LayerDone, LayerProgress, Notice, Phase, Resolved
from layerkit.ops.home import Home

TARGET = digests.of_bytes(b"target")
LAYERS = [digests.of_bytes(bytes([number])) for number in range(7)]


class FakePush:
    """Stands for the operation: keeps what it was asked, tells of seven layers."""

    def __init__(self):
        self.asked = []

    def __call__(self, _home, ref, *, client, platform, with_foreign, observe):
        self.asked.append((ref.canonical, platform and str(platform), with_foreign))
        observe(Resolved(ref.familiar, TARGET, tuple((layer, 10) for layer in LAYERS)))
        observe(LayerDone(LAYERS[0], reused=True))
        observe(LayerDone(LAYERS[1], reused=False, source="library/base"))
        observe(LayerProgress(LAYERS[2], Phase.UPLOAD, 10, 10))
        observe(Notice("warning", "odd"))
        observe(LayerDone(LAYERS[2], reused=False))
        return SimpleNamespace(reference=ref, digest=TARGET, size=528)


@pytest.fixture
def fake(monkeypatch):
    """The operation, replaced; every name is there with the tags 1 and 2."""

    def choose(_home, text, *, all_tags):
        if text.startswith("missing"):
            raise NotFoundError(f"no such image: {text}")
        names = [f"{text}:1", f"{text}:2"] if all_tags else [text]
        return list(map(reference.parse, names))

    fake = FakePush()
    monkeypatch.setattr("layerkit.ops.push.push", fake)
    monkeypatch.setattr("layerkit.ops.push.choose", choose)
    return fake


def test_the_lines_are_dockers(fake, cli):
    """Repository, what happens to each layer, and the manifest, on stdout; progress on stderr."""
    outcome = cli("push", "centos:7")

    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        "The push refers to repository [docker.io/library/centos]",
        *(f"{layer.short}: Preparing" for layer in LAYERS),
        *(f"{layer.short}: Waiting" for layer in LAYERS[5:]),
        f"{LAYERS[0].short}: Layer already exists",
        f"{LAYERS[1].short}: Mounted from library/base",
        f"{LAYERS[2].short}: Pushed",
        f"7: digest: {TARGET} size: 528",
    ]
    assert outcome.err.splitlines() == [f"{LAYERS[2].short}: Pushing 10B", "warning: odd"]


def test_the_default_tag_is_named(fake, cli):
    """Without a tag, docker says which one it takes."""
    lines = cli("push", "centos").out.splitlines()

    assert lines[0] == "Using default tag: latest"
    assert lines[-1].startswith("latest: digest: ")


def test_quiet_prints_the_name_only(fake, cli):
    """-q leaves the full name on stdout; warnings stay on stderr."""
    outcome = cli("push", "-q", "centos:7")

    assert outcome.out == "docker.io/library/centos:7\n"
    assert outcome.err == "warning: odd\n"


def test_all_tags_follow_each_other(fake, cli):
    """-a pushes each tag; the repository is named once."""
    outcome = cli("push", "-a", "r.example/app")

    assert [name for name, *_ in fake.asked] == ["r.example/app:1", "r.example/app:2"]
    assert outcome.out.count("The push refers to") == 1
    assert "Using default tag" not in outcome.out


def test_the_options_arrive(fake, cli):
    """--platform and --allow-nondistributable-artifacts reach the operation."""
    cli("push", "--platform", "linux/aarch64", "--allow-nondistributable-artifacts", "a:1")
    cli("push", "a:1")

    assert [rest for _, *rest in fake.asked] == [["linux/arm64", True], [None, False]]


def test_several_names_are_pushed_whatever_fails(fake, cli):
    """The first failure gives the exit code, the other names are pushed."""
    outcome = cli("push", "-q", "a:1", "missing:1", "b:1")

    assert outcome.code == 3
    assert outcome.out.splitlines() == ["docker.io/library/a:1", "docker.io/library/b:1"]
    assert "layerkit: no such image: missing:1" in outcome.err


def test_json_tells_where_a_layer_was_mounted_from(fake, cli):
    """--progress json has each event; `source` only where there is one."""
    lines = cli("--progress", "json", "push", "a:1").err.splitlines()
    events = [json.loads(line) for line in lines]

    assert {"event": "done", "layer": str(LAYERS[0]), "reused": True} in events
    mounted = {"event": "done", "layer": str(LAYERS[1]), "reused": False, "source": "library/base"}
    assert mounted in events
    assert {each.get("phase") for each in events} == {None, "upload"}


def test_ctrl_c_does_not_wait_for_the_registry(layerkit_command, state_root, tmp_path):
    """SIGINT ends a push whose registry gives no answer: 130, and the store is as it was."""
    with UploadRegistry() as registry:
        registry.fault("uploads/[0-9]", only("PUT", silent))
        name = f"{registry.host}/app:1"
        layer = tars.archive(tars.file("f", "x"))
        with Home(state_root) as home:
            homes.load_layers(home, tmp_path / "layout", [layer], name=name)
        command = [*layerkit_command, "push", name]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
            try:
                until(lambda: len(registry.sent("PUT")) == 2)  # layer and config wait for an answer
                process.send_signal(signal.SIGINT)
                _, err = process.communicate()
            finally:
                process.kill()

    assert process.returncode == 130
    assert b"Traceback" not in err
    assert stores.faults(state_root) == []
