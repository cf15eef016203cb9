"""Which process docker would start for an image and the wishes of a user."""

from __future__ import annotations

import pytest

from layerkit.errors import SandboxError, UsageError
from layerkit.oci import RuntimeConfig
from layerkit.sandbox.spec import DEFAULT_PATH, Overrides, process_spec


def build(image=None, *, terminal=False, **wishes):
    """The process of an image (default: only a Cmd) and these overrides on host `box`."""
    runtime = image or RuntimeConfig(cmd=("c",))
    return process_spec(runtime, Overrides(**wishes), hostname="box", terminal=terminal)


# Image: E entrypoint, C cmd; user: --entrypoint, arguments. `None`: docker says there is no command.
MATRIX = {
    "nothing at all": ((), (), None, (), None),
    "image C": ((), ("c", "1"), None, (), ("c", "1")),
    "image E": (("e",), (), None, (), ("e",)),
    "image E and C": (("e",), ("c", "1"), None, (), ("e", "c", "1")),
    "arguments alone": ((), (), None, ("a",), ("a",)),
    "arguments replace C": ((), ("c",), None, ("a",), ("a",)),
    "arguments go to E": (("e",), (), None, ("a",), ("e", "a")),
    "arguments replace C behind E": (("e",), ("c",), None, ("a",), ("e", "a")),
    "entrypoint alone": ((), (), ("u",), (), ("u",)),
    "entrypoint drops C": ((), ("c",), ("u",), (), ("u",)),
    "entrypoint drops E and C": (("e",), ("c",), ("u",), (), ("u",)),
    "entrypoint with arguments": (("e",), ("c",), ("u",), ("a",), ("u", "a")),
    "empty entrypoint clears E and C": (("e",), ("c",), ("",), (), None),
    "empty entrypoint with arguments": (("e",), ("c",), ("",), ("a",), ("a",)),
    "no words as entrypoint": (("e",), ("c",), (), ("a",), ("a",)),
    "empty E of the image": (("",), ("c",), None, (), ("c",)),
}


@pytest.mark.parametrize(
    ("image_entrypoint", "image_cmd", "entrypoint", "command", "wanted"),
    MATRIX.values(),
    ids=MATRIX,
)
def test_arguments_follow_the_rules_of_docker(
    image_entrypoint, image_cmd, entrypoint, command, wanted
):
    """Entrypoint and command of image and user combine as in docker."""
    image = RuntimeConfig(entrypoint=image_entrypoint, cmd=image_cmd)
    if wanted is None:
        with pytest.raises(SandboxError, match=r"^no command specified$"):
            build(image, entrypoint=entrypoint, command=command)
    else:
        assert build(image, entrypoint=entrypoint, command=command).args == wanted


DEFAULTS = {"PATH": DEFAULT_PATH, "HOSTNAME": "box"}

ENVIRONMENTS = {
    "defaults": ((), (), False, DEFAULTS),
    "TERM with a terminal only": ((), (), True, DEFAULTS | {"TERM": "xterm"}),
    "image adds": (("A=1",), (), False, DEFAULTS | {"A": "1"}),
    "image overrides defaults": (("PATH=/p", "TERM=vt"), (), True, {**DEFAULTS, "PATH": "/p", "TERM": "vt"}),
    "user overrides image": (("A=1", "B=2"), ("A=x",), False, DEFAULTS | {"A": "x", "B": "2"}),
    "last one wins": ((), ("A=1", "A=2"), False, DEFAULTS | {"A": "2"}),
    "empty value stays": ((), ("PATH=",), False, DEFAULTS | {"PATH": ""}),
    "value with =": ((), ("A=b=c",), False, DEFAULTS | {"A": "b=c"}),
    "user takes away": (("A=1",), ("A",), False, DEFAULTS),
    "nonsense of the image": (("=x", "", "B"), (), False, DEFAULTS),
}  # fmt: skip


@pytest.mark.parametrize(
    ("image", "user", "terminal", "wanted"), ENVIRONMENTS.values(), ids=ENVIRONMENTS
)
def test_environment_is_merged_by_key(image, user, terminal, wanted):
    """Defaults, then the image's variables, then the user's; each key occurs once."""
    runtime = RuntimeConfig(cmd=("c",), env=image)

    env = build(runtime, terminal=terminal, env=user).env

    assert len(env) == len(wanted)
    assert dict(entry.split("=", 1) for entry in env) == wanted


@pytest.mark.parametrize("entry", ["", "=", "=x"])
def test_a_variable_needs_a_name(entry):
    """A user's variable without a name is refused."""
    with pytest.raises(UsageError, match="invalid environment variable"):
        build(env=(entry,))


@pytest.mark.parametrize(
    ("image", "user", "wanted"),
    [
        ("", None, "/"),
        ("/srv", None, "/srv"),
        ("/srv", "/w", "/w"),
        ("/srv", "", "/srv"),
        ("//a//b/../c/", None, "/a/c"),
        ("/../..", None, "/"),
    ],
)
def test_workdir_is_the_users_or_the_images(image, user, wanted):
    """The working directory is an absolute, clean path."""
    assert build(RuntimeConfig(cmd=("c",), working_dir=image), workdir=user).cwd == wanted


def test_a_relative_workdir_is_a_wrong_request():
    """A relative working directory of the user's is a usage error."""
    with pytest.raises(UsageError, match="invalid working directory 'a/b'"):
        build(workdir="a/b")


def test_a_relative_workdir_of_the_image_is_not_the_users_fault():
    """A relative working directory of the image is an error of starting it."""
    with pytest.raises(SandboxError, match="invalid working directory 'a'"):
        build(RuntimeConfig(cmd=("c",), working_dir="a"))


@pytest.mark.parametrize(
    ("image", "user", "wanted"),
    [("", None, ""), ("app", None, "app"), ("app", "0", "0"), ("app", "", "app")],
)
def test_user_is_the_users_or_the_images(image, user, wanted):
    """The wish of the user comes before the image's."""
    assert build(RuntimeConfig(cmd=("c",), user=image), user=user).user == wanted


@pytest.mark.parametrize("text", ["a\0b", "\ud800"], ids=["NUL", "half a surrogate pair"])
@pytest.mark.parametrize(
    "image",
    [
        lambda text: RuntimeConfig(cmd=(text,)),
        lambda text: RuntimeConfig(cmd=("c",), env=(f"A={text}",)),
        lambda text: RuntimeConfig(cmd=("c",), working_dir=f"/{text}"),
        lambda text: RuntimeConfig(cmd=("c",), user=text),
    ],
    ids=["command", "environment", "workdir", "user"],
)
def test_what_no_process_can_have_is_refused(image, text):
    """A JSON config can hold text that execve cannot; it is refused before anything starts."""
    with pytest.raises(SandboxError, match="no process can have it"):
        build(image(text))
