"""Where requests go when nobody configured anything, and what URLs become of settings."""

from pathlib import Path

import pytest

from layerkit import reference
from layerkit.registry.endpoints import READ, TLS, USUAL, Endpoint, at_host, at_url, by_default

CENTOS = reference.parse("centos:7")
OWN_CA = TLS((Path("/ca.crt"),))


@pytest.mark.parametrize(
    ("name", "base"),
    [
        pytest.param("centos", "https://registry-1.docker.io/v2", id="Hub"),
        pytest.param("quay.io/a", "https://quay.io/v2", id="port-usual"),
        pytest.param("r.io:5000/a", "https://r.io:5000/v2", id="port"),
        pytest.param("10.0.0.1/a", "https://10.0.0.1/v2", id="T12-address-elsewhere"),
        pytest.param("localhost:5000/a", "http://localhost:5000/v2", id="T12-localhost"),
        pytest.param("127.1.2.3/a", "http://127.1.2.3/v2", id="T12-loopback"),
        pytest.param("[::1]:5000/a", "http://[::1]:5000/v2", id="R07-IPv6-loopback"),
        pytest.param("[2001:db8::1]/a", "https://[2001:db8::1]/v2", id="R07-IPv6-elsewhere"),
    ],
)
def test_without_configuration_there_is_the_registry_itself(name, base):
    """One endpoint for everything: https, but http on this machine."""
    image = reference.parse(name)

    assert by_default(image) == [Endpoint(base, image.repository, is_origin=True)]


def test_this_machine_is_asked_by_https_if_tls_was_set():
    """Who names an authority for a registry on this machine means TLS."""
    (found,) = at_host(reference.parse("localhost:5000/a"), "localhost:5000", tls=OWN_CA)

    assert (found.base, found.tls) == ("https://localhost:5000/v2", OWN_CA)


@pytest.mark.parametrize("host", ["r.io:5000", "localhost:5000"])
def test_an_insecure_registry_is_asked_in_two_ways(host):
    """First by TLS whoever answers, with the client's certificate, then without TLS."""
    image = reference.parse(f"{host}/a")
    found = at_host(image, host, tls=OWN_CA, insecure=True)

    assert [(each.base, each.tls) for each in found] == [
        (f"https://{host}/v2", TLS(OWN_CA.authorities, verify=False)),
        (f"http://{host}/v2", USUAL),
    ]
    assert all(each.is_origin for each in found)


def test_a_mirror_is_not_the_origin():
    """Credentials of the registry must not go to another host or port."""
    (found,) = at_host(CENTOS, "mirror.io", "hub/centos", actions=READ)

    assert found == Endpoint("https://mirror.io/v2", "hub/centos", READ)
    assert found.registry == "mirror.io"


@pytest.mark.parametrize(
    ("url", "override", "base"),
    [
        ("https://m.io", False, "https://m.io/v2"),
        ("https://m.io/", False, "https://m.io/v2"),
        ("https://m.io:443", False, "https://m.io/v2"),
        ("HTTPS://M.io:5000", False, "https://m.io:5000/v2"),
        ("m.io:5000", False, "https://m.io:5000/v2"),
        ("http://m.io/v2", False, "http://m.io/v2"),
        ("http://m.io/v2/", False, "http://m.io/v2"),
        ("https://m.io/us", False, "https://m.io/us/v2"),
        ("https://m.io//us/../eu/", False, "https://m.io/eu/v2"),
        ("https://m.io/v2/hub", False, "https://m.io/v2/hub/v2"),
        ("https://m.io/v2/hub", True, "https://m.io/v2/hub"),
        ("https://m.io", True, "https://m.io"),
        ("http://[::1]:5000", False, "http://[::1]:5000/v2"),
    ],
)
def test_a_url_becomes_the_place_of_the_api(url, override, base):
    """`/v2` is added where it is missing, unless the path is said to be all there is."""
    found = at_url(CENTOS, url, override_path=override)

    assert found.base == base
    assert found.url("blobs/x") == f"{base}/library/centos/blobs/x?ns=docker.io"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "no valid host"),
        ("https://", "no valid host"),
        ("ftp://m.io", "neither http nor https"),
        ("unix:///run/x", "neither http nor https"),
        ("https://user:pw@m.io", "credentials"),
        ("https://m.io/?x=1", "more than scheme"),
        ("https://m.io/#x", "more than scheme"),
        ("https://m.io/a b", "more than scheme"),
        ("https://m.io/ä", "more than scheme"),
        ("https://m.io:99999", "[Pp]ort"),
        ("https://[::1", "IPv6"),
    ],
)
def test_what_is_no_place_of_an_api(url, reason):
    """A URL that cannot be a registry's says why, without a password in it."""
    with pytest.raises(ValueError, match=reason) as caught:
        at_url(CENTOS, url)

    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "url", "namespace"),
    [
        pytest.param("centos", "https://registry-1.docker.io", "", id="C13-Hub"),
        pytest.param("centos", "https://docker.io", "", id="C13-Hub-by-its-name"),
        pytest.param("centos", "https://m.io", "docker.io", id="C13-mirror-of-Hub"),
        pytest.param("r.io/a", "https://r.io", "", id="C13-origin"),
        pytest.param("r.io/a", "https://r.io:443", "", id="C13-origin-port"),
        pytest.param("r.io/a", "http://r.io", "", id="C13-origin-plain"),
        pytest.param("r.io/a", "https://r.io:5000", "r.io", id="C13-other-port"),
        pytest.param("r.io:5000/a", "https://m.io", "r.io:5000", id="C13-port"),
        pytest.param("[::1]:5000/a", "https://m.io", "%5B::1%5D:5000", id="R07-IPv6"),
    ],
)
def test_mirrors_are_told_whose_image_is_wanted(name, url, namespace):
    """`ns` goes to every server but the registry itself."""
    found = at_url(reference.parse(name), url)

    assert found.is_origin == (not namespace)
    assert found.url("x").endswith(f"/x?ns={namespace}" if namespace else "/x")


def test_the_namespace_goes_behind_a_query():
    """A path that has a query keeps it."""
    url = at_url(CENTOS, "https://m.io").url("referrers/x?artifactType=y")

    assert url.endswith("/referrers/x?artifactType=y&ns=docker.io")


def test_docker_hub_is_asked_where_its_images_are():
    """A server `docker.io`, as containerd's manual has it, is the Hub's registry."""
    assert at_url(CENTOS, "https://docker.io").base == "https://registry-1.docker.io/v2"
