"""Subordinate ids become the map of a user namespace."""

from __future__ import annotations

import os

import pytest

from layerkit.errors import UsageError
from layerkit.snapshot import idmap
from layerkit.snapshot.idmap import IdMaps, Range

ME = str(os.geteuid())


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        pytest.param("me:100000:65536", [(100_000, 65_536)], id="by-name"),
        pytest.param("1000:100000:65536", [(100_000, 65_536)], id="by-number"),
        pytest.param("other:1:2\nme:3:4\nme:9:1\n", [(3, 4), (9, 1)], id="several-in-their-order"),
        pytest.param("", [], id="empty-file"),
        pytest.param("other:100000:65536", [], id="somebody-else"),
        pytest.param("me:100000", [], id="no-count"),
        pytest.param("me:100000:65536:1", [], id="too-many-fields"),
        pytest.param("me:x:65536\nme:1:-5\nme::", [], id="no-numbers"),
        pytest.param("me:100000:0", [], id="no-ids"),
        pytest.param("me:4294967290:10\nme:99999999999999999999:1", [], id="beyond-32-bits"),
        pytest.param("me:\u0661:1", [], id="digits-of-another-script"),
        pytest.param("# me:1:2\n\n\0\nme:5:6", [(5, 6)], id="noise"),
    ],
)
def test_ranges_are_read(text, wanted):
    """Lines of the user give ranges; any other line gives none."""
    assert list(idmap.subordinate(text, {"me", "1000"})) == wanted


def test_ids_are_mapped_without_a_gap():
    """The user is root; from 1 on the ranges follow each other."""
    assert idmap.mapped(1000, [(100_000, 10), (500, 5)]) == (
        Range(0, 1000, 1),
        Range(1, 100_000, 10),
        Range(11, 500, 5),
    )


def test_a_map_has_as_many_ranges_as_the_kernel_takes():
    """Ranges beyond the kernel's limit are left out."""
    assert len(idmap.mapped(1000, [(number * 10, 1) for number in range(1000)])) == 340


def test_both_kinds_of_ids_make_the_maps_of_a_user(tmp_path):
    """Users and groups are read from a file each."""
    (tmp_path / "subuid").write_text(f"{ME}:100000:10\n")
    (tmp_path / "subgid").write_text(f"{ME}:200000:20\n")

    assert idmap.of_this_user(tmp_path) == IdMaps(
        (Range(0, os.geteuid(), 1), Range(1, 100_000, 10)),
        (Range(0, os.getegid(), 1), Range(1, 200_000, 20)),
    )


@pytest.mark.parametrize("missing", ["subuid", "subgid"])
@pytest.mark.parametrize("content", [None, "", "somebody-else:1:2\n"])
def test_one_kind_of_ids_alone_is_none(tmp_path, missing, content):
    """Without a range for users, or without one for groups, there are no maps."""
    for name in ("subuid", "subgid"):
        (tmp_path / name).write_text(f"{ME}:100000:65536\n")
    (tmp_path / missing).unlink()
    if content is not None:
        (tmp_path / missing).write_text(content)

    assert idmap.of_this_user(tmp_path) is None


ME_ALONE = Range(0, os.geteuid(), 1)


@pytest.mark.parametrize(
    ("ranges", "id_"),
    [
        pytest.param([Range(1, 9000, 10), Range(11, 9000, 10)], 9000, id="SN-18-twice"),
        pytest.param([Range(1, 9000, 10), Range(11, 8995, 6)], 9000, id="SN-18-one-in-common"),
        pytest.param([Range(1, 9000, 10), Range(10, 9900, 1)], 10, id="SN-18-inside"),
        pytest.param([Range(1, os.geteuid(), 5)], os.geteuid(), id="SN-18-the-users-own"),
    ],
)
def test_an_id_in_two_ranges_is_an_error(ranges, id_):
    """No such map can be had; the error names the id, and the file that says so."""
    for kind, maps in (
        ("user", ((ME_ALONE, *ranges), (ME_ALONE,))),
        ("group", ((ME_ALONE,), (ME_ALONE, *ranges))),
    ):
        with pytest.raises(UsageError, match=f"cannot map {kind} ids: {id_} is in two") as caught:
            IdMaps(*maps)
        assert caught.value.hint == f"see /etc/sub{kind[0]}id"


def test_a_user_alone_is_root_of_one_id():
    """That map needs nobody's leave."""
    assert idmap.of_this_user_alone() == IdMaps((ME_ALONE,), (Range(0, os.getegid(), 1),))
