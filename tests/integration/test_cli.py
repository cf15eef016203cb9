"""Whole commands on a real store, with a real registry, in this process and as the program."""

import json
import os
import re
import subprocess

import pytest
from support import stores, tars
from support.registry import PASSWORD, USERNAME, TestRegistry

from layerkit.errors import ConflictError, NotFoundError, StoreError, UsageError

BASE = tars.archive(tars.directory("etc"), tars.file("etc/motd", b"hello\n"))
TOP = tars.archive(tars.file("etc/issue", b"x" * 2000), tars.whiteout("etc/motd"))
CONFIG = {
    "created": "2020-11-14T00:20:04Z",
    "history": [
        {"created": "2020-11-13T00:00:00Z", "created_by": "ADD base"},
        {"created": "2020-11-14T00:20:04Z", "created_by": "ENV A=1", "empty_layer": True},
        {"created": "2020-11-14T00:20:04Z", "created_by": "ADD top\x1b[2J", "comment": "last"},
    ],
}


@pytest.fixture
def registry():
    """A registry with an image of two layers, `app:1`."""
    with TestRegistry() as running:
        running.image = running.add_image("app", "1", [BASE, TOP], CONFIG)
        yield running


@pytest.fixture
def name(registry):
    """The name of the image."""
    return f"{registry.host}/app:1"


@pytest.fixture
def image_id(registry):
    """The id of the image."""
    return registry.image.config.digest


@pytest.fixture
def pulled(name, cli):
    """The name of the image, which was pulled."""
    assert cli("pull", "-q", name) == (0, f"{name}\n", "")
    return name


def test_a_pull_says_what_comes_and_what_was_there(registry, name, cli):
    """Each layer is complete or here already, then digest, status and full name follow."""
    registry.add_image("other", "2", [BASE])
    base, top = (each.digest.short for each in registry.image.layers)
    first = cli("pull", f"{registry.host}/other:2")
    second = cli("--progress", "none", "pull", name)

    assert f"{base}: Pull complete" in first.out.splitlines()
    assert (second.code, second.err) == (0, "")
    assert second.out.splitlines()[0] == "1: Pulling from app"
    assert set(second.out.splitlines()[1:3]) == {f"{base}: Already exists", f"{top}: Pull complete"}
    assert second.out.splitlines()[3:] == [
        f"Digest: {registry.image.descriptor.digest}",
        f"Status: Downloaded newer image for {name}",
        name,
    ]
    assert f"Status: Image is up to date for {name}\n" in cli("pull", name).out


def test_progress_as_json_tells_every_step(registry, name, cli):
    """Every line on stderr is an object; the last of each layer says that it is done."""
    events = list(map(json.loads, cli("--progress", "json", "pull", name).err.splitlines()))

    assert events[0] == {
        "event": "resolved",
        "name": name,
        "digest": str(registry.image.descriptor.digest),
        "layers": [
            {"digest": str(each.digest), "size": each.size} for each in registry.image.layers
        ],
    }
    for layer in registry.image.layers:
        of_layer = [each for each in events if each.get("layer") == str(layer.digest)]
        assert of_layer[-1] == {"event": "done", "layer": str(layer.digest), "reused": False}
        assert {each.get("phase") for each in of_layer} == {"download", "index", None}


def test_the_store_of_a_pull_is_whole(pulled, state_root):
    """After a pull there is nothing in the store that is broken or left over."""
    assert stores.faults(state_root) == []
    assert stores.partials(state_root) == []


@pytest.mark.parametrize("variable", ["DOCKER_CONFIG", "REGISTRY_AUTH_FILE"])
def test_credentials_come_from_the_users_files(cli, monkeypatch, tmp_path, variable):
    """A registry that wants a login gets what docker or podman have stored."""
    with TestRegistry(login="basic") as registry:
        registry.add_image("app", "1", [BASE])
        name = f"{registry.host}/app:1"
        assert cli("pull", "-q", name).code != 0
        path = tmp_path / "config.json"
        auths = {registry.host: {"username": USERNAME, "password": PASSWORD}}
        path.write_text(json.dumps({"auths": auths}))
        monkeypatch.setenv(variable, str(tmp_path if variable == "DOCKER_CONFIG" else path))

        assert cli("pull", "-q", name) == (0, f"{name}\n", "")


def test_images_lists_what_is_here(pulled, registry, image_id, cli):
    """Name, tag, id, age and size are those of the image."""
    repository = f"{registry.host}/app"
    record = json.loads(cli("images", "--format", "json", "--no-trunc").out)

    assert record.pop("CreatedSince").endswith(" years ago")
    assert record == {
        "Repository": repository,
        "Tag": "1",
        "Digest": str(registry.image.descriptor.digest),
        "ID": str(image_id),
        "CreatedAt": record["CreatedAt"],
        "Size": "2.01kB",
    }
    assert cli("images", "-q", repository).out == f"{image_id.short}\n"
    assert cli("images", "-q", f"{repository}:2").out == ""


def test_an_image_pulled_by_digest_has_no_tag(registry, cli):
    """Without a tag the row has the repository, the digest and `<none>`."""
    digest = registry.image.descriptor.digest
    cli("pull", "-q", f"{registry.host}/app@{digest}")

    row = cli("images", "--format", "{{.Repository}} {{.Tag}} {{.Digest}}").out

    assert row == f"{registry.host}/app <none> {digest}\n"


def test_inspect_finds_an_image_by_name_and_id(pulled, image_id, cli):
    """The name, the id and its beginning all mean the same object."""
    outcome = cli("inspect", pulled, str(image_id), image_id.short)

    first, second, third = json.loads(outcome.out)
    assert first == second == third
    assert first["Id"] == str(image_id)
    assert cli("inspect", "-f", "{{.Config.Cmd}} {{json .RepoTags}}", pulled).out == (
        f'[sh] ["{pulled}"]\n'
    )


def test_history_tells_each_step(pulled, image_id, cli):
    """Newest first, with sizes; controls in the config's text do nothing to the terminal."""
    outcome = cli("history", "--format", "{{.ID}}|{{.CreatedBy}}|{{.Size}}|{{.Comment}}", pulled)

    assert outcome.out.splitlines() == [
        f"{image_id.short}|ADD top\\x1b[2J|2kB|last",
        "<missing>|ENV A=1|0B|",
        "<missing>|ADD base|6B|",
    ]


def test_a_tag_is_one_more_name(pulled, registry, image_id, cli):
    """Both names mean one image; it goes with the last of them."""
    assert cli("tag", pulled, "mine") == (0, "", "")
    assert cli("images", "-q", "mine").out == f"{image_id.short}\n"

    assert cli("rmi", "mine").out == "Untagged: mine:latest\n"
    assert cli("rmi", pulled).out.splitlines() == [
        f"Untagged: {pulled}",
        f"Untagged: {registry.host}/app@{registry.image.descriptor.digest}",
        f"Deleted: {image_id}",
    ]
    assert cli("images", "-q").out == ""


def test_an_image_with_two_names_is_not_removed_by_id(pulled, image_id, cli):
    """By id an image with several names goes only with -f."""
    cli("tag", pulled, "mine")

    refused = cli("rmi", image_id.short)
    assert refused.code == ConflictError.exit_code
    assert refused.err.startswith(f"layerkit: cannot remove image {image_id.short}: ")
    assert cli("rmi", "-f", image_id.short).code == 0
    assert cli("images", "-q").out == ""


def test_unpack_writes_the_files(pulled, cli, tmp_path):
    """The tree of the image, with whiteouts applied, is in a new directory; a full one is refused."""
    target = tmp_path / "root"

    assert cli("unpack", pulled, target) == (0, "", "")
    assert sorted(os.listdir(target / "etc")) == ["issue"]
    refused = cli("unpack", pulled, target)
    assert refused.code == UsageError.exit_code
    assert refused.err == f"layerkit: cannot unpack to {target}: it is not empty\n"


@pytest.mark.parametrize(
    ("tag", "line"),
    [("app:1", "Loaded image: app:1"), (None, "Loaded image ID: sha256:[0-9a-f]{64}")],
    ids=["a name", "no name"],
)
def test_load_brings_in_a_layout(cli, tmp_path, tag, line):
    """A layout is loaded under its name, or by its id alone; its kind is noted."""
    layout = tmp_path / "layout"
    tars.oci_layout(layout, [BASE, TOP])
    index = json.loads((layout / "index.json").read_bytes())
    index["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": tag} if tag else {}
    (layout / "index.json").write_text(json.dumps(index))

    outcome = cli("--progress", "none", "load", "-i", layout)

    assert outcome.code == 0
    assert re.fullmatch(f"{line}\n", outcome.out)
    assert outcome.err == f"note: format of {layout}: OCI image layout\n"
    assert len(cli("images", "-q").out.split()) == 1


def test_load_without_a_file_is_refused(cli, tmp_path):
    """There is nothing to load from a path where nothing is."""
    outcome = cli("load", "-i", tmp_path / "missing")

    assert outcome.code in (UsageError.exit_code, NotFoundError.exit_code, StoreError.exit_code)
    assert outcome.err.startswith("layerkit: ")
    assert str(tmp_path / "missing") in outcome.err


@pytest.mark.parametrize(
    "arguments",
    [["inspect", "x"], ["history", "x"], ["tag", "x", "y"], ["rmi", "x"], ["unpack", "x", "dir"]],
    ids=lambda each: each[0],
)
def test_an_image_that_is_not_here_is_named(cli, arguments):
    """Every command on an unknown image says so and ends with the code for it."""
    outcome = cli(*arguments)

    assert outcome.code == NotFoundError.exit_code
    assert re.match(r"layerkit: no such (image|object): x\n", outcome.err)


def test_a_state_directory_of_others_is_not_touched(cli, tmp_path):
    """A full directory that is no state directory is refused."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()

    outcome = cli("--root", tmp_path / "full", "images")

    assert outcome.code == StoreError.exit_code
    assert os.listdir(tmp_path / "full") == ["file"]


def program(command, *arguments, **options):
    """Run the installed program."""
    return subprocess.run(
        [*command, *arguments], check=False, text=True, stderr=subprocess.PIPE, **options
    )


def test_a_reader_that_leaves_is_not_told(layerkit_command):
    """A broken pipe ends the program as SIGPIPE would, without a word."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = program(layerkit_command, "images", stdout=writer)
    finally:
        os.close(writer)

    assert (done.returncode, done.stderr) == (141, "")


def test_a_full_device_below_stdout_is_told(layerkit_command):
    """Output that cannot be written is an error in one line."""
    with open("/dev/full", "w") as full:
        done = program(layerkit_command, "images", stdout=full)

    assert done.returncode == 1
    assert done.stderr == "layerkit: cannot write the output: No space left on device\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_danger(layerkit_command, state_root, closed):
    """No file of the store gets the number of a closed stream, and nothing crashes."""
    shell = ["sh", "-c", f'"$@" {closed}', "sh"]

    done = program([*shell, *layerkit_command], "images", stdout=subprocess.PIPE)

    assert (done.returncode, done.stderr) == (0, "")
    assert stores.faults(state_root) == []


def test_any_locale_can_be_printed_to(layerkit_command, tmp_path):
    """What the encoding of stdout has not is escaped."""
    done = program(
        layerkit_command,
        "inspect",
        "ünï",
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONIOENCODING": "ascii:strict"},
    )

    assert done.returncode == NotFoundError.exit_code
    assert done.stderr == "layerkit: no such object: \\xfcn\\xef\n"


@pytest.mark.debian("bash")
@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("layerkit hist", ["history"]),
        ("layerkit history app", ["app:1", "app:2"]),
        ("layerkit history app:", ["1", "2"]),
        ("layerkit rmi -f app:2", ["2"]),
        ("layerkit history local", ["localhost:5000/x:3"]),
        ("layerkit history localhost:5000/x:", ["3"]),
    ],
)
def test_bash_completes_names_with_colons(cli, layerkit_command, tmp_path, line, wanted):
    """The script for bash offers what has to stand after the last colon, which ends a word there."""
    tars.oci_layout(tmp_path / "layout", [BASE])
    image = cli("load", "-i", tmp_path / "layout").out.split()[-1]
    for name in ("app:1", "app:2", "localhost:5000/x:3"):
        cli("tag", image, name)
    script = program(layerkit_command, "completion", "bash", stdout=subprocess.PIPE).stdout
    ask = (
        f"{script}\nCOMP_LINE={line!r}; COMP_POINT=${{#COMP_LINE}}\n"
        f"_layerkit_completion {layerkit_command[0]}\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )

    done = subprocess.run(["bash", "-c", ask], check=True, capture_output=True, text=True)

    assert done.stdout.split() == wanted
