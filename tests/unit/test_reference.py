"""Image names are read as docker reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerkit import reference
from layerkit.errors import UsageError

HEX = "0123456789abcdef" * 4
SHA256 = f"sha256:{HEX}"
SHA512 = f"sha512:{HEX}{HEX}"

# text, canonical, familiar, host to connect to
VALID = [
    ("centos:7", "docker.io/library/centos:7", "centos:7", "registry-1.docker.io"),
    ("centos", "docker.io/library/centos:latest", "centos:latest", "registry-1.docker.io"),
    (
        "docker.io/centos:7",
        "docker.io/library/centos:7",
        "centos:7",
        "registry-1.docker.io",
    ),
    (
        "index.docker.io/library/centos:7",
        "docker.io/library/centos:7",
        "centos:7",
        "registry-1.docker.io",
    ),
    (
        "registry-1.docker.io/library/centos:7",
        "registry-1.docker.io/library/centos:7",
        "registry-1.docker.io/library/centos:7",
        "registry-1.docker.io",
    ),
    ("bitnami/redis", "docker.io/bitnami/redis:latest", "bitnami/redis:latest", None),
    ("library/a/b:1", "docker.io/library/a/b:1", "library/a/b:1", None),
    ("team_a/x:1", "docker.io/team_a/x:1", "team_a/x:1", None),
    ("quay.io/x:1", "quay.io/x:1", "quay.io/x:1", "quay.io"),
    ("quay.io/a/b/c:1", "quay.io/a/b/c:1", "quay.io/a/b/c:1", "quay.io"),
    ("localhost/x:1", "localhost/x:1", "localhost/x:1", "localhost"),
    ("localhost:5000/x:1", "localhost:5000/x:1", "localhost:5000/x:1", "localhost:5000"),
    ("host:5000/x", "host:5000/x:latest", "host:5000/x:latest", "host:5000"),
    ("Host/x:1", "Host/x:1", "Host/x:1", "Host"),
    ("10.1.2.3/x:1", "10.1.2.3/x:1", "10.1.2.3/x:1", "10.1.2.3"),
    ("10.1.2.3:80", "docker.io/library/10.1.2.3:80", "10.1.2.3:80", None),
    ("test.com:5000", "docker.io/library/test.com:5000", "test.com:5000", None),
    ("localhost", "docker.io/library/localhost:latest", "localhost:latest", None),
    ("[::1]:5000/x:1", "[::1]:5000/x:1", "[::1]:5000/x:1", "[::1]:5000"),
    ("[2001:db8::1]/x:1", "[2001:db8::1]/x:1", "[2001:db8::1]/x:1", "[2001:db8::1]"),
    ("xn--n3h.com/x:xn--n3h.com", "xn--n3h.com/x:xn--n3h.com", "xn--n3h.com/x:xn--n3h.com", None),
    ("a.b/c.d/e:f.g", "a.b/c.d/e:f.g", "a.b/c.d/e:f.g", None),
    ("x:Upper_Case.1-2", "docker.io/library/x:Upper_Case.1-2", "x:Upper_Case.1-2", None),
    ("x:_1", "docker.io/library/x:_1", "x:_1", None),
    ("x:" + "t" * 128, "docker.io/library/x:" + "t" * 128, "x:" + "t" * 128, None),
    ("a---b/c__d.e_f:1", "docker.io/a---b/c__d.e_f:1", "a---b/c__d.e_f:1", None),
    ("q.io/" + "a" * 255, f"q.io/{'a' * 255}:latest", f"q.io/{'a' * 255}:latest", "q.io"),
    (f"x@{SHA256}", f"docker.io/library/x@{SHA256}", f"x@{SHA256}", None),
    (f"x:1@{SHA256}", f"docker.io/library/x:1@{SHA256}", f"x:1@{SHA256}", None),
    (f"q.io:1/x@{SHA512}", f"q.io:1/x@{SHA512}", f"q.io:1/x@{SHA512}", "q.io:1"),
    (HEX[:63], f"docker.io/library/{HEX[:63]}:latest", f"{HEX[:63]}:latest", None),
    (f"{HEX}:1", f"docker.io/library/{HEX}:1", f"docker.io/library/{HEX}:1", None),
    ("docker.io/a.b/c:1", "docker.io/a.b/c:1", "docker.io/a.b/c:1", "registry-1.docker.io"),
    ("docker.io/localhost/c:1", "docker.io/localhost/c:1", "docker.io/localhost/c:1", None),
    ("library/ubuntu", "docker.io/library/ubuntu:latest", "ubuntu:latest", None),
    ("index.docker.io/a/b:1", "docker.io/a/b:1", "a/b:1", "registry-1.docker.io"),
    ("FOO/x:1", "FOO/x:1", "FOO/x:1", "FOO"),
    ("test_com/x:1", "docker.io/test_com/x:1", "test_com/x:1", None),
    ("test-com:80/x:1", "test-com:80/x:1", "test-com:80/x:1", "test-com:80"),
    ("a_b.com:8080", "docker.io/library/a_b.com:8080", "a_b.com:8080", None),
    ("10.1.2.3:80/x:81", "10.1.2.3:80/x:81", "10.1.2.3:80/x:81", "10.1.2.3:80"),
    (
        "[1:2:3:4:5:6:7:8]/x:1",
        "[1:2:3:4:5:6:7:8]/x:1",
        "[1:2:3:4:5:6:7:8]/x:1",
        "[1:2:3:4:5:6:7:8]",
    ),
    ("[fc00::]:5/x:1", "[fc00::]:5/x:1", "[fc00::]:5/x:1", "[fc00::]:5"),
    (f"docker.io/{HEX}:1", f"docker.io/library/{HEX}:1", f"docker.io/library/{HEX}:1", None),
    (f"h:5/x:1@{SHA512}", f"h:5/x:1@{SHA512}", f"h:5/x:1@{SHA512}", "h:5"),
]

INVALID = [
    ("", "invalid image name '': it is empty"),
    ("Foo", "invalid image name 'Foo': repository must be lower case"),
    ("docker/Docker", "repository must be lower case"),
    ("q.io/a/B/c:1", "repository must be lower case"),
    ("x:", "the tag is empty"),
    ("x:1:2", "tag '1:2' must be"),
    ("a/x:1/y", "tag '1/y' must be"),
    ("x:-1", "the first no '.' or '-'"),
    ("x:.1", "the first no '.' or '-'"),
    ("x:ü", "tag 'ü' must be"),
    ("x:1\n", r"tag '1\\n' must be"),
    ("x:" + "t" * 129, "tag has 129 characters, at most 128"),
    ("x\n", r"character '\\n' is not allowed"),
    (" x", "character ' ' is not allowed"),
    ("x y", "character ' ' is not allowed"),
    ("é", "character 'é' is not allowed"),
    ("٣", "character '٣' is not allowed"),
    ("x$$/y", r"character '\$' is not allowed"),
    (":1", "the repository is missing"),
    ("q.io/", "the repository is missing"),
    ("q.io/:1", "the repository is missing"),
    (f"@{SHA256}", "the repository is missing"),
    ("docker/", "each part of a repository"),
    ("a//b", "each part of a repository"),
    ("/a", "each part of a repository"),
    ("-a", "each part of a repository"),
    ("a-/b", "each part of a repository"),
    ("a..b", "each part of a repository"),
    ("a_.b", "each part of a repository"),
    ("a___b", "each part of a repository"),
    ("a-.b", "each part of a repository"),
    ("-a-/b", "each part of a repository"),
    ("____/____", "each part of a repository"),
    ("_a/_b", "each part of a repository"),
    ("docker.io/a///b", "each part of a repository"),
    ("h:5/Upper/lower:1", "repository must be lower case"),
    ("[2001:db8::1]:tag", "character"),
    ("[fe80::1%@zone]:5/x", "character"),
    (f"x@nonsense:{HEX}", "digest algorithm nonsense is not supported"),
    ("q.io/..", "each part of a repository"),
    ("q.io/../x", "each part of a repository"),
    ("-q.io/x", "'-q.io' is not a registry host"),
    ("q..io/x", "'q..io' is not a registry host"),
    ("q.io:/x", "'q.io:' is not a registry host"),
    ("q.io:80a/x", "'q.io:80a' is not a registry host"),
    ("q_r.io/x", "'q_r.io' is not a registry host"),
    ("q.io\n/x", r"'q.io\\n' is not a registry host"),
    ("user@q.io/x", "invalid digest"),
    ("q.io:65536/x", "port 65536 is higher"),
    ("[::1]", "character"),
    ("[::1]:5000", "character"),
    ("::1:5000/x", "is not a registry host"),
    ("[fe80::1%eth0]:5000/x", "is not a registry host"),
    ("[2001:db8::192.0.2.33]/x", "is not a registry host"),
    ("[1:2:3]/x", "At least 3|Expected|Exactly 8"),
    ("https://q.io/x", "it is a URL"),
    (HEX, "64 hexadecimal digits are an image id"),
    ("x@", "invalid digest ''"),
    ("x@sha256:abc", "wanted 64 lower-case hex digits"),
    (f"x@sha256:{HEX.upper()}", "wanted 64 lower-case hex digits"),
    (f"x@{SHA256}\n", "invalid digest"),
    (f"x@{SHA256}@{SHA256}", "invalid digest"),
    (f"x@md5:{HEX}", "digest algorithm md5 is not supported, wanted one of sha256, sha512"),
    ("a/" * 128 + "a", "repository has 257 characters, at most 255"),
    ("q.io/" + "a" * 256, "repository has 256 characters"),
]


@pytest.mark.parametrize(
    ("text", "canonical", "familiar", "host"), VALID, ids=lambda v: str(v)[:40]
)
def test_names_are_read_with_dockers_defaults(text, canonical, familiar, host):
    """R01, R02, R03: a valid name has docker's full and short form, and Docker Hub is served by another host."""
    got = reference.parse(text)

    assert (got.canonical, got.familiar, str(got)) == (canonical, familiar, canonical)
    assert host is None or got.host == host


@pytest.mark.parametrize("text", [row[0] for row in VALID], ids=lambda text: text[:40])
def test_every_shown_form_reads_as_the_same_name(text):
    """R01: full and short form of a name are names of the same thing."""
    got = reference.parse(text)

    assert reference.parse(got.canonical) == got
    assert reference.parse(got.familiar) == got
    assert got.familiar.startswith(got.familiar_repository)


@pytest.mark.parametrize(("text", "reason"), INVALID, ids=lambda text: ascii(text)[:40])
def test_invalid_names_are_refused_with_the_reason(text, reason):
    """R01: a name that docker refuses is refused, and the message says what is wrong with it."""
    with pytest.raises(UsageError, match=f"^invalid image name .*(?:{reason})|^{reason}"):
        reference.parse(text)


def test_a_digest_makes_no_tag():
    """The tag `latest` is added only when neither tag nor digest is there."""
    got = reference.parse(f"x@{SHA256}")

    assert (got.tag, str(got.digest)) == (None, SHA256)


def test_a_long_name_is_shortened_in_the_message():
    """A message stays one readable line however long the name is."""
    with pytest.raises(UsageError) as caught:
        reference.parse("A" * 100_000)

    assert len(caught.value.message) < 250


@given(st.text(max_size=40))
def test_any_text_is_a_name_or_refused(text):
    """Parsing any text gives a name that stays itself, or a `UsageError`."""
    try:
        got, message = reference.parse(text), ""
    except UsageError as error:
        got, message = None, error.message

    assert message.isprintable()
    assert got is None or reference.parse(got.canonical) == got == reference.parse(got.familiar)
    assert got is None or got.canonical.isascii()
