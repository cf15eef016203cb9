"""Certificates in docker's layout."""

from pathlib import Path

import pytest

from layerkit.errors import UsageError
from layerkit.registry import docker_certs
from layerkit.registry.endpoints import TLS

FOLDER = Path("/etc/docker/certs.d")
OTHER = Path("/etc/containers/certs.d")


@pytest.mark.parametrize(
    ("host", "names"),
    [
        pytest.param("r.io", ["r.io"], id="C13-host"),
        pytest.param("r.io:5000", ["r.io_5000_", "r.io:5000"], id="C13-port"),
        pytest.param("[::1]:5000", ["[::1]_5000_", "[::1]:5000"], id="R07-IPv6-port"),
        pytest.param("[::1]", ["[::1]"], id="R07-IPv6"),
    ],
)
def test_where_files_for_a_host_are(host, names):
    """A port has to be in the name, in one of two forms."""
    found = docker_certs.directories([FOLDER, OTHER], host)

    assert list(found) == [folder / name for folder in (FOLDER, OTHER) for name in names]


def test_certificates_are_known_by_their_names(fs):
    """T09, T10: authorities end in .crt, a client's certificate and key share a name."""
    for name in ("b.crt", "a.crt", "me.cert", "me.key", "my.cert.cert", "my.cert.key", "notes"):
        fs.create_file(FOLDER / "r.io" / name)
    here = FOLDER / "r.io"

    assert docker_certs.tls_for([FOLDER], "r.io") == TLS(
        (here / "a.crt", here / "b.crt"),
        ((here / "me.cert", here / "me.key"), (here / "my.cert.cert", here / "my.cert.key")),
    )


def test_the_first_directory_with_certificates_counts(fs):
    """Directories without any do not hide a later one, and two are not mixed."""
    fs.create_file(FOLDER / "r.io/hosts.toml")
    fs.create_file(OTHER / "r.io/ca.crt")
    fs.create_file("/last/r.io/other.crt")

    found = docker_certs.tls_for([FOLDER, OTHER, Path("/last")], "r.io")

    assert found == TLS((OTHER / "r.io/ca.crt",))


@pytest.mark.parametrize("host", ["r.io", "x.r.io", "r.io:5001"])
def test_certificates_are_not_for_another_host(fs, host):
    """Name and port have to be equal."""
    fs.create_file(FOLDER / "r.io:5000/ca.crt")

    assert docker_certs.tls_for([FOLDER], host) == TLS()


@pytest.mark.parametrize(
    ("name", "missing", "hint"),
    [
        pytest.param("me.cert", "me.key", ".crt", id="T10-cert-without-key"),
        pytest.param("me.key", "me.cert", "", id="T10-key-without-cert"),
    ],
)
def test_half_an_identity_is_an_error(fs, name, missing, hint):
    """The message names the file that is missing."""
    here = FOLDER / "r.io"
    fs.create_file(here / name)
    fs.create_file(here / "ca.crt")

    with pytest.raises(
        UsageError, match=f"^cannot use {here / name}: {here / missing} is"
    ) as caught:
        docker_certs.tls_for([FOLDER], "r.io")

    assert hint in caught.value.hint
