"""Digests are parsed by the specification's grammar, and content is what they say or refused."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerkit import digest as digests
from layerkit.digest import DiffID, Digest, Hasher, Verifier
from layerkit.errors import IntegrityError

HEX = "0123456789abcdef" * 4
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

GOOD = [
    ("DG-08-sha256", f"sha256:{HEX}", "sha256"),
    ("DG-08-sha512", f"sha512:{HEX}{HEX}", "sha512"),
    (
        "DG-09-multihash",
        "multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8",
        "multihash+base58",
    ),
    (
        "DG-09-base64",
        "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564",
        "sha256+b64u",
    ),
    ("DG-10-blake3", f"blake3:{HEX}", "blake3"),
]
BAD = {
    "empty": "",
    "no-colon": HEX,
    "no-algorithm": f":{HEX}",
    "no-hash": "sha256:",
    "short": f"sha256:{HEX[1:]}",
    "long": f"sha256:{HEX}0",
    "sha512-of-sha256-length": f"sha512:{HEX}",
    "upper-case-hash": f"sha256:{HEX.upper()}",
    "upper-case-algorithm": f"SHA256:{HEX}",
    "no-hex-digit": f"sha256:{'g' * 64}",
    "DG-08-parent": f"sha256:{'../' * 21}x",
    "DG-08-absolute": "sha256:/etc/passwd",
    "DG-08-algorithm-parent": f"../..:{HEX}",
    "DG-08-algorithm-slash": f"sha256/..:{HEX}",
    "DG-08-algorithm-dots": f"..:{HEX}",
    "DG-08-NUL": f"sha256:{HEX[:-1]}\0",
    "newline": f"sha256:{HEX}\n",
    "space": f" sha256:{HEX}",
    "unicode-digits": f"sha256:{'٣' * 64}",
    "two-separators": f"sha256+-b64:{HEX}",
}


@pytest.mark.parametrize(
    ("text", "algorithm"), [row[1:] for row in GOOD], ids=[row[0] for row in GOOD]
)
def test_a_digest_is_read_and_printed_back(text, algorithm):
    """What the grammar allows is parsed into algorithm and hash, and `str` gives it back."""
    parsed = digests.parse(text)

    assert (parsed.algorithm, str(parsed)) == (algorithm, text)


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_what_is_no_digest_is_refused(text):
    """SE-18: what the grammar does not allow raises `ValueError`, so it never becomes part of a path."""
    with pytest.raises(ValueError, match="invalid digest"):
        digests.parse(text)


@given(st.text())
def test_any_text_is_a_digest_or_refused(text):
    """No text makes the parser fail in another way, and what it takes is safe in a path."""
    try:
        parsed = digests.parse(text)
    except ValueError:
        return
    assert str(parsed) == text
    assert not set("/\0\n") & set(text)


@pytest.mark.parametrize(
    "text", [row[1] for row in GOOD[2:]], ids=[f"{row[0]}-verify" for row in GOOD[2:]]
)
def test_an_algorithm_that_nobody_here_computes_is_refused(text):
    """A digest that cannot be checked is an error that names its algorithm, never a pass."""
    parsed = digests.parse(text)

    with pytest.raises(IntegrityError, match="unsupported digest algorithm"):
        digests.verify("blob", parsed, None, b"")


@pytest.mark.parametrize("algorithm", digests.ALGORITHMS)
def test_the_right_bytes_pass(algorithm):
    """Content with the promised size and hash is accepted, in pieces as in one."""
    wanted = Digest(algorithm, hashlib.new(algorithm, b"content").hexdigest())

    digests.verify("blob", wanted, 7, b"content")
    verifier = Verifier("blob", wanted, 7)
    verifier.update(b"con")
    verifier.update(memoryview(b"tent"))
    verifier.finish()


@pytest.mark.parametrize(
    ("size", "data", "message"),
    [
        (7, b"Content", "wrong digest of blob"),
        (8, b"content", "got 7 bytes, wanted 8"),
        (6, b"content", "more than the promised 6 bytes"),
        (9, b"Content", "got 7 bytes, wanted 9"),
        (None, b"Content", "wrong digest of blob"),
    ],
    ids=["digest", "short", "long", "size-before-digest", "no-size"],
)
def test_other_bytes_are_refused(size, data, message):
    """A wrong size is told before a wrong hash, and too many bytes as soon as they come."""
    with pytest.raises(IntegrityError, match=message):
        digests.verify("blob", digests.of_bytes(b"content"), size, data)


def test_chain_ids_are_those_of_the_specification():
    """ChainID(L0) = L0 and ChainID(L0|…|Ln) = sha256 of the one below, a space, and Ln."""
    layers = [DiffID(Digest("sha256", HEX)), DiffID(Digest("sha256", EMPTY))]

    chain = digests.chain_ids(layers)

    joined = hashlib.sha256(f"sha256:{HEX} sha256:{EMPTY}".encode()).hexdigest()
    assert [str(each) for each in chain] == [f"sha256:{HEX}", f"sha256:{joined}"]
    assert digests.chain_ids([]) == []


@given(st.lists(st.binary()))
def test_a_hasher_counts_and_hashes_whatever_the_pieces(pieces):
    """The digest and count of a stream do not depend on how it was cut."""
    hasher = Hasher()
    for piece in pieces:
        hasher.update(piece)

    whole = b"".join(pieces)
    assert (hasher.count, hasher.digest()) == (len(whole), digests.of_bytes(whole))


def test_the_short_form_is_dockers():
    """An id on the screen is the first twelve digits."""
    assert digests.parse(f"sha256:{HEX}").short == "0123456789ab"
