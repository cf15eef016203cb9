"""Platforms are read, made canonical and chosen from an index as containerd does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerkit import digest as digests
from layerkit import oci, platforms
from layerkit.errors import NotFoundError, UsageError
from layerkit.oci import Descriptor, Index, Platform


def offer(number, platform, **fields):
    """An index entry; `number` makes its digest its own."""
    known = None if platform is None else Platform(*platform.split("/"))
    fields.setdefault("media_type", oci.OCI_MANIFEST)
    return Descriptor(digest=digests.of_bytes(b"%d" % number), size=1, platform=known, **fields)


def index(*platforms_):
    """An index with these platforms, in order; None for an entry without one."""
    entries = tuple(
        offer(number, each) if each is None or isinstance(each, str) else each
        for number, each in enumerate(platforms_)
    )
    return Index(b"", oci.OCI_INDEX, entries)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("linux/amd64", "linux/amd64"),
        ("amd64", "linux/amd64"),
        ("x86_64", "linux/amd64"),
        ("linux/x86-64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("linux/arm64/v9", "linux/arm64/v9"),
        ("arm", "linux/arm/v7"),
        ("linux/arm/7", "linux/arm/v7"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("armhf", "linux/arm/v7"),
        ("armel", "linux/arm/v6"),
        ("i386", "linux/386"),
        ("Linux/AMD64", "linux/amd64"),
        ("windows/amd64", "windows/amd64"),
        ("riscv64", "linux/riscv64"),
    ],
)
def test_a_platform_is_read_in_its_canonical_form(text, wanted):
    """Other names of one architecture, and variants that mean nothing, become one spelling."""
    assert str(platforms.parse(text)) == wanted


@pytest.mark.parametrize(
    "text", ["", "/", "linux/", "/amd64", "a/b/c/d", "linux/am d64", "linux/amd64\n", "linux/ärm"]
)
def test_what_is_no_platform_is_refused(text):
    """Text that is not one to three plain words between slashes is a usage error."""
    with pytest.raises(UsageError, match="invalid platform"):
        platforms.parse(text)


@given(st.text())
def test_any_text_is_a_platform_or_refused(text):
    """No text makes the parser fail in another way; what it takes stays when read again."""
    try:
        parsed = platforms.parse(text)
    except UsageError:
        return
    assert platforms.parse(str(parsed)) == parsed


M07 = [
    "linux/amd64",
    "linux/arm/v6",
    "linux/arm/v7",
    "linux/arm64/v8",
    "windows/amd64",
    "unknown/unknown",
    "unknown/unknown",
]


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        ("arm", "linux/arm/v7"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("linux/arm/v7", "linux/arm/v7"),
        ("linux/arm/v8", "linux/arm/v7"),
        ("arm64", "linux/arm64/v8"),
        ("linux/arm64/v9", "linux/arm64/v8"),
        ("linux/amd64/v3", "linux/amd64"),
        ("windows/amd64", "windows/amd64"),
    ],
)
def test_the_best_runnable_manifest_is_chosen(wanted, got):
    """M07: the wanted platform or the nearest one below it whose programs run there."""
    chosen = platforms.select(index(*M07), platforms.parse(wanted), "app")

    assert str(chosen.platform) == got


@pytest.mark.parametrize("wanted", ["riscv64", "linux/arm/v5", "darwin/amd64"])
def test_a_platform_that_is_not_offered_is_an_error_with_the_offer(wanted):
    """M07: the error lists what there is, once each, without attestations."""
    with pytest.raises(NotFoundError, match="the index offers linux/amd64, linux/arm/v6") as raised:
        platforms.select(index(*M07), platforms.parse(wanted), "app")

    assert "unknown" not in raised.value.message
    assert "app" in raised.value.message


@pytest.mark.parametrize(
    ("offers", "wanted", "got"),
    [
        (["linux/arm64", "linux/386"], "amd64", 1),
        (["linux/386", "linux/amd64"], "amd64", 1),
        (["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], "linux/amd64/v3", 1),
        (["linux/arm64", "linux/arm64/v9"], "linux/arm64/v9", 1),
        (["linux/arm/v5", "linux/arm/v6"], "linux/arm64", 1),
        (["linux/amd64", "linux/amd64"], "amd64", 0),
        (["linux/x86_64"], "amd64", 0),
        (["linux/arm/v4"], "linux/arm/v4", 0),
        (["linux/mips64le/hardfloat"], "linux/mips64le/hardfloat", 0),
        (["linux/arm64/v8.2"], "linux/arm64/v8.2", 0),
    ],
)
def test_preferences_between_platforms(offers, wanted, got):
    """Exact before older before 32 bits; of two equal ones the first; the wanted one always fits."""
    entries = index(*offers)

    chosen = platforms.select(entries, platforms.parse(wanted), "app")

    assert entries.manifests.index(chosen) == got


@pytest.mark.parametrize(
    ("odd", "got"),
    [
        pytest.param(offer(9, None), 1, id="M09-no-platform-gives-way"),
        pytest.param(offer(9, "linux/amd64", artifact_type="a/b"), 1, id="M09-artifact"),
        pytest.param(
            offer(9, "linux/amd64", media_type="application/vnd.example+json"),
            1,
            id="M09-unknown-media-type",
        ),
        pytest.param(
            offer(9, "linux/amd64", annotations={"vnd.docker.reference.type": "attestation"}),
            1,
            id="attestation",
        ),
        pytest.param(offer(9, "linux/amd64", media_type=oci.OCI_INDEX), 0, id="DG-17-nested-index"),
        pytest.param(offer(9, "linux/amd64", media_type=""), 0, id="no-media-type"),
    ],
)
def test_entries_that_are_no_image_are_passed_over(odd, got):
    """What is no manifest or index of an image is never chosen, whatever platform it claims."""
    chosen = platforms.select(index(odd, "linux/amd64"), platforms.parse("amd64"), "app")

    assert chosen.digest == index(odd, "linux/amd64").manifests[got].digest


def test_an_entry_without_a_platform_is_the_last_choice():
    """M09: one that names no platform is taken when none that does fits."""
    chosen = platforms.select(index("linux/s390x", None), platforms.parse("amd64"), "app")

    assert chosen.platform is None


def test_an_index_of_nothing_offers_nothing():
    """An empty index is an error as well."""
    with pytest.raises(NotFoundError, match="the index offers nothing"):
        platforms.select(index(), platforms.parse("amd64"), "app")
