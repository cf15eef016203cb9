"""Real containers do the same in layerkit and in docker: both diffs tell the same, line by line."""

from __future__ import annotations

import os

import pytest
from support import engines, shell_changes
from support.registry import TestRegistry
from support.trees import scan

from layerkit.ops import containers
from layerkit.ops.home import Home

pytestmark = [
    pytest.mark.root,
    pytest.mark.debian(*engines.DOCKER_PROGRAMS, "setfattr"),
    pytest.mark.timeout(600),
]

DRIVERS = ("erofs", "overlay", "copy")
CAPABILITY = "security.capability"
_SECOND = 10**9

UNSEEN = {
    "xattr": "docker compares security.capability alone",
    "target": "docker compares time and length of a symlink, not where it leads",
    "content": "docker compares time and size of a file, not its bytes",
}
"""What layerkit tells and docker does not, with the reason."""
EXAMPLES = {
    "xattr": "setfattr -n user.k -v w a",
    "target": "aim l b",
    "content": "other a",
}
"""A command for each."""


def test_every_difference_that_is_allowed_is_shown_by_an_example():
    """A reason that nothing needs any more would hide something else."""
    assert EXAMPLES.keys() == UNSEEN.keys()


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param(range(12), id="short"),
        pytest.param(range(12, 200), id="long", marks=pytest.mark.long),
    ],
)
def test_docker_tells_the_same(docker, cli, state_root, tmp_path, numbers):
    """What docker tells, layerkit tells with each driver, and beyond that all that docker cannot see."""
    sequences = [*([each] for each in EXAMPLES.values()), *map(shell_changes.sequence, numbers)]
    with TestRegistry() as registry:
        registry.add_image("app", "1", shell_changes.layers(sequences))
        name = f"{registry.host}/app:1"
        docker.pull(name)
        assert cli("pull", "-q", name).code == 0
    program = shell_changes.PROGRAM.split()
    docker.run("run", "--network=none", "--name=box", name, *program)
    told = {"docker": docker.run("diff", "box").splitlines()}
    for driver in DRIVERS:
        assert cli("--driver", driver, "run", "--name", driver, name, *program).code == 0
        told[driver] = cli("diff", driver).out.splitlines()
    assert cli("unpack", name, tmp_path / "before").code == 0

    unseen = unseen_by_docker(scan(tmp_path / "before"), scan(root_of(state_root, "copy")))

    for driver in DRIVERS:
        wrong = unexplained(told[driver], told["docker"], unseen)
        assert wrong == [], (driver, sequences_of(wrong, sequences))
    assert told["erofs"] == told["overlay"] == told["copy"]
    assert {f"C {path}" for path in unseen} - set(told["erofs"]) == set()
    for number, reason in enumerate(EXAMPLES):
        assert {unseen.get(line[2:]) for line in told["erofs"] if is_of(number, line)} == {
            None,
            reason,
        }
        assert not [line for line in told["docker"] if is_of(number, line)]


def root_of(state_root, name):
    """The directory with all of a container that the copy driver made."""
    with Home(state_root) as home:
        return containers.upper_of(home, containers.find_container(home, name))


def is_of(number, line):
    """Whether a line is about the tree of this sequence."""
    return f"{line}/".startswith(f"/s{number}/", 2)


def sequences_of(lines, sequences):
    """The sequences that these lines are about, to see what was done."""
    return {
        number: commands
        for number, commands in enumerate(sequences)
        if any(is_of(number, line) for line in lines)
    }


def unexplained(mine, its, unseen):
    """The lines that only one side has, without those that `unseen` and their parents explain."""
    only_mine = set(mine) - set(its)
    reasons = [line for line in only_mine if line[0] == "C" and line[2:] in unseen]
    parents = {line for line in only_mine if any(each.startswith(f"{line}/") for each in reasons)}
    return sorted((only_mine ^ (set(its) - set(mine))) - set(reasons) - parents)


def unseen_by_docker(before, after):
    """The paths that are alike in all that docker looks at, each with what differs then."""
    found = {}
    for path in before.keys() & after.keys():
        old, new = before[path], after[path]
        if not docker_sees(old, new) and (reason := beyond_docker(old, new)):
            found["/" + os.fsdecode(path)] = reason
    return found


def docker_sees(old, new):
    """Whether docker tells one from the other (moby go-archive, changes_unix.go)."""
    return looked_at(old) != looked_at(new) or (
        old.kind != "directory" and not same_time(old.mtime, new.mtime)
    )


def looked_at(each):
    """What docker compares, but for the time."""
    size = each.size or len(each.target)
    capability = dict(each.xattrs).get(CAPABILITY)
    return each.kind, each.mode, each.uid, each.gid, each.device, size, capability


def same_time(one, other):
    """Equal, or equal but for nanoseconds that one of them has not."""
    whole = (one % _SECOND, other % _SECOND)
    return one == other or (one // _SECOND == other // _SECOND and 0 in whole)


def beyond_docker(old, new):
    """What differs all the same, if anything does."""
    differs = {
        "xattr": old.xattrs != new.xattrs,
        "target": old.target != new.target,
        "content": old.sha256 != new.sha256,
    }
    return next((reason for reason in UNSEEN if differs[reason]), None)
