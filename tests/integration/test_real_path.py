"""A real registry, a real Debian, a real terminal: pull, look, work in a container, compare."""

import json
import os

import pexpect
import pytest
from support import images
from support.debian_registry import PROGRAM, debian_registry
from support.trees import differences, scan

pytestmark = [
    pytest.mark.root,
    pytest.mark.debian(PROGRAM, "skopeo", *images.MINBASE_PROGRAMS),
    pytest.mark.timeout(600),  # the first one builds the image
]

PROMPT = "ready> "
WORK = (
    "echo new > /srv/new",
    "ln -s /etc/passwd /srv/link",
    "mkdir -p /opt/made/deep",
    "echo deep > /opt/made/deep/file",
    "chmod 600 /etc/passwd",
    "rm /etc/issue",
    "rm -r /usr/share/perl5",
    "rm -r /etc/skel && mkdir /etc/skel && touch /etc/skel/new",
    "rm /etc/debian_version && mkdir /etc/debian_version && touch /etc/debian_version/x",
    "touch /tmp/gone && rm /tmp/gone",
)
CHANGES = """\
C /etc
C /etc/debian_version
A /etc/debian_version/x
D /etc/issue
C /etc/passwd
C /etc/skel
D /etc/skel/.bash_logout
D /etc/skel/.bashrc
D /etc/skel/.profile
A /etc/skel/new
C /opt
A /opt/made
A /opt/made/deep
A /opt/made/deep/file
C /srv
A /srv/link
A /srv/new
C /usr
C /usr/share
D /usr/share/perl5
"""


@pytest.fixture(scope="module")
def layout():
    """A small Debian as an OCI layout."""
    return images.debian_minbase()


@pytest.fixture
def name(layout, tmp_path):
    """The same image in a registry, by the name to pull it with."""
    with debian_registry(tmp_path / "registry") as registry:
        yield registry.push(layout, "debian:test")


@pytest.fixture
def pulled(name, cli):
    """The name of the image after it was pulled."""
    outcome = cli("pull", name)
    assert outcome.code == 0, outcome.err
    return name


def read_blob(layout, digest):
    """A JSON document of a layout."""
    return json.loads((layout / "blobs" / digest.replace(":", "/")).read_bytes())


def manifest_of(layout):
    """The only manifest of a layout, and its digest."""
    index = json.loads((layout / "index.json").read_bytes())
    digest = index["manifests"][0]["digest"]
    return read_blob(layout, digest), digest


def test_a_pull_prints_what_docker_prints(name, layout, cli):
    """Repository, layers, digest, status and full name are on stdout; the digest is the real one."""
    manifest, digest = manifest_of(layout)
    layer = manifest["layers"][0]["digest"].removeprefix("sha256:")[:12]

    outcome = cli("pull", name)

    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines() == [
        "test: Pulling from debian",
        f"{layer}: Pull complete",
        f"Digest: {digest}",
        f"Status: Downloaded newer image for {name}",
        name,
    ]


def test_a_second_pull_has_nothing_to_do(pulled, cli):
    """An image that is here and current is said to be up to date."""
    outcome = cli("pull", pulled)

    assert outcome.code == 0, outcome.err
    assert f"Status: Image is up to date for {pulled}" in outcome.out.splitlines()


def test_images_shows_the_image(pulled, layout, cli):
    """The list has repository, tag and the first digits of the config's digest."""
    manifest, _ = manifest_of(layout)
    repository, tag = pulled.rsplit(":", 1)
    image_id = manifest["config"]["digest"].removeprefix("sha256:")[:12]

    header, line = cli("images").out.splitlines()

    assert header.split() == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    assert line.split()[:3] == [repository, tag, image_id]


def test_inspect_tells_what_the_config_says(pulled, layout, cli):
    """Inspect prints an array with docker's field names and the image's own values."""
    manifest, _ = manifest_of(layout)
    config = read_blob(layout, manifest["config"]["digest"])

    (image,) = json.loads(cli("inspect", pulled).out)

    assert image["Id"] == manifest["config"]["digest"]
    assert image["RepoTags"] == [pulled]
    assert (image["Os"], image["Architecture"]) == (config["os"], config["architecture"])
    assert image["Config"]["Cmd"] == config["config"]["Cmd"]
    assert image["Config"]["Env"] == config["config"]["Env"]
    assert image["RootFS"]["Layers"] == config["rootfs"]["diff_ids"]


class Terminal:
    """Somebody at a terminal who works in a container's shell."""

    def __init__(self, command):
        self.child = pexpect.spawn(
            command[0], command[1:], encoding="utf-8", timeout=60, dimensions=(30, 100)
        )
        # In two pieces, so that the echo of this line is not taken for the prompt. Without the
        # other two bash would write a file of its own, and escape sequences around each line.
        self.child.sendline(
            "PS1='rea''dy> '; unset HISTFILE; bind 'set enable-bracketed-paste off'"
        )
        self.child.expect_exact(PROMPT)

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.child.close(force=True)

    def run(self, line):
        """Type a line; give what was shown until the next prompt, the typed line left out."""
        self.child.sendline(line)
        self.child.expect_exact(PROMPT)
        return self.child.before.partition("\n")[2]

    def leave(self, line):
        """Type the last line; give the exit code of the program."""
        self.child.sendline(line)
        self.child.expect(pexpect.EOF)
        self.child.close()
        return self.child.exitstatus


def test_work_in_a_container_is_exactly_its_diff(pulled, cli, layerkit_command, tmp_path):
    """A session at a terminal works as expected, `diff` lists all it did, the image stays as it is."""
    cli("unpack", pulled, tmp_path / "before")
    command = [*layerkit_command, "run", "-i", "-t", "--name", "c", pulled, "bash"]

    with Terminal(command) as terminal:
        assert {"bin", "etc", "proc", "usr"} <= set(terminal.run("ls -1 /").split())
        assert terminal.run("stty size").split() == ["30", "100"]
        for line in WORK:
            assert terminal.run(f"{line}; echo code $?").split()[-2:] == ["code", "0"]
        assert terminal.run("cat /srv/new").split() == ["new"]
        assert terminal.leave("exit 3") == 3

    assert cli("diff", "c").out == CHANGES
    cli("unpack", pulled, tmp_path / "after")
    assert differences(scan(tmp_path / "before"), scan(tmp_path / "after")) == []


def test_two_containers_of_one_image_do_not_see_each_other(pulled, cli, layerkit_command):
    """Each container has its own changes, and starts from the untouched image."""
    for name in ("one", "two"):
        command = [*layerkit_command, "run", "-i", "-t", "--name", name, pulled, "bash"]
        with Terminal(command) as terminal:
            assert terminal.run("ls /srv").split() == []
            terminal.run(f"touch /srv/{name}")
            assert terminal.leave("exit") == 0

    assert cli("diff", "one").out == "C /srv\nA /srv/one\n"
    assert cli("diff", "two").out == "C /srv\nA /srv/two\n"


def test_the_state_directory_is_closed_to_others(pulled, state_root):
    """Nobody else reaches the setuid files of an image through the state directory."""
    assert pulled
    assert os.stat(state_root).st_mode & 0o077 == 0
