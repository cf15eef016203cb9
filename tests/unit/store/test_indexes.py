"""Indexes are found from where names lead, as far as they are here."""

from __future__ import annotations

import json

import pytest

from layerkit import digest as digests
from layerkit import oci
from layerkit.store import indexes

ABSENT = digests.of_bytes(b"absent")


def make_index(*entries, media_type=oci.OCI_INDEX, kind=oci.OCI_INDEX):
    """An index of these digests, called `kind`."""
    listed = [{"mediaType": kind, "digest": str(each), "size": 1} for each in entries]
    document = {"schemaVersion": 2, "mediaType": media_type, "manifests": listed}
    return json.dumps(document).encode()


def test_inner_ones_come_first(blobs):
    """Each once, also if several list it; what a manifest is called is not looked at."""
    inner = blobs.put(make_index(ABSENT))
    middle = blobs.put(make_index(inner, inner, kind=""))
    outer = blobs.put(make_index(inner, middle, ABSENT))
    unseen = blobs.put(make_index(inner, media_type=oci.DOCKER_INDEX, kind=oci.OCI_MANIFEST))

    assert [*indexes.find(blobs, [outer])] == [inner, middle, outer]
    assert [*indexes.find(blobs, [unseen, outer])] == [unseen, inner, middle, outer]
    assert indexes.find(blobs, [outer])[outer].raw == blobs.read(outer, 1 << 20)


@pytest.mark.parametrize("raw", [
    pytest.param(b"no document", id="no-JSON"),
    pytest.param(b"{}", id="no-kind"),
    pytest.param(b'{"schemaVersion": 2, "manifests": 1}', id="wrong-type"),
    pytest.param(
        json.dumps({
            "schemaVersion": 2,
            "config": {"mediaType": oci.OCI_CONFIG, "digest": str(ABSENT), "size": 1},
            "layers": [],
        }).encode(),
        id="a-manifest",
    ),
])  # fmt: skip
def test_what_is_no_index_is_passed_over(blobs, raw):
    """As a root and inside an index."""
    digest = blobs.put(raw)
    outer = blobs.put(make_index(digest))

    assert indexes.find(blobs, [digest, ABSENT]) == {}
    assert [*indexes.find(blobs, [outer])] == [outer]


def test_a_rotted_index_is_passed_over(blobs):
    """It is as if it were not here; nothing else is in the way of it."""
    digest = blobs.put(make_index())
    path = blobs.path(digest)
    path.chmod(0o600)
    path.write_bytes(make_index(ABSENT))

    assert indexes.find(blobs, [digest]) == {}


def test_the_depth_is_limited(blobs):
    """Deeper than a pull goes nothing is looked for."""
    way = [blobs.put(make_index())]
    for _ in range(oci.INDEX_DEPTH + 3):
        way.append(blobs.put(make_index(way[-1])))

    assert [*indexes.find(blobs, [way[-1]])] == way[-oci.INDEX_DEPTH :]
