"""How registries ask for a login."""

from __future__ import annotations

import pytest

from layerkit.registry import challenge
from layerkit.registry.challenge import Challenge

BEARER = Challenge("bearer", {"realm": "https://a/t", "service": "s"})
BASIC = Challenge("basic", {"realm": "r"})
DIGEST = Challenge("digest", {"realm": "d", "nonce": "n=="})


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ([], []),
        ([""], []),
        ([" , "], []),
        (['Bearer realm="https://a/t",service="s"'], [BEARER]),
        (['bearer REALM="https://a/t" , Service = "s" ,'], [BEARER]),
        (['BEARER service=s, realm="https://a/t"'], [BEARER]),
        (["Bearer realm=https://a/t,service=s"], [BEARER]),
        (['Basic realm="r"', 'Bearer realm="https://a/t",service="s"'], [BASIC, BEARER]),
        (['Basic realm="r", Bearer realm="https://a/t", service="s"'], [BASIC, BEARER]),
        (["Negotiate, Basic realm=r"], [Challenge("negotiate"), BASIC]),
        (["Negotiate YWJj==, Basic realm=r"], [Challenge("negotiate"), BASIC]),
        (["Negotiate", "Basic realm=r"], [Challenge("negotiate"), BASIC]),
        (
            ['Bearer scope="repository:a:pull,push",realm="x"'],
            [Challenge("bearer", {"scope": "repository:a:pull,push", "realm": "x"})],
        ),
        ([r'Basic realm="a \"b\", \\c"'], [Challenge("basic", {"realm": r'a "b", \c'})]),
        (['Basic realm=""'], [Challenge("basic", {"realm": ""})]),
        (["Basic realm=, x=y"], [Challenge("basic", {"x": "y"})]),
        (["Bearer"], [Challenge("bearer")]),
        (['Negotiate, bearer realm="https://a/t",service="s"'], [Challenge("negotiate"), BEARER]),
        (['Digest realm="d", nonce=n==', 'Basic realm="r"'], [DIGEST, BASIC]),
        (['Basic realm="1", realm="2"'], [Challenge("basic", {"realm": "1"})]),
        (['\tBasic   realm="r"\t'], [BASIC]),
    ],
    ids=lambda value: f"A03-{value}",
)
def test_challenges_are_read(lines, wanted):
    """A03: several lines, several challenges a line, any case, quotes with commas and escapes."""
    assert challenge.parse(lines) == wanted


@pytest.mark.parametrize(
    "line",
    [
        'realm="x"',
        'Bearer realm="open',
        'Bearer realm="x"y',
        '"Bearer"',
        "Bearer realm=x;service=y (comment)",
        "Bëarer realm=x",
        "=",
        'Bearer realm="' + "\\" * 30_001,
    ],
    ids=lambda line: f"A03-{line[:30]}",
)
def test_broken_challenges_are_refused(line):
    """A03: what is no list of challenges is a `ValueError`, not a guess."""
    with pytest.raises(ValueError, match="not a list of challenges"):
        challenge.parse([line])


@pytest.mark.parametrize(
    ("offers", "wanted"),
    [
        ([BASIC, BEARER], BEARER),
        ([BEARER, BASIC], BEARER),
        ([Challenge("negotiate"), BASIC], BASIC),
        ([Challenge("negotiate"), Challenge("digest")], None),
        ([], None),
    ],
    ids=str,
)
def test_bearer_goes_before_basic(offers, wanted):
    """Bearer is chosen, else Basic, else nothing."""
    assert challenge.choose(offers) == wanted


@pytest.mark.parametrize(
    ("parameters", "wanted"),
    [
        (
            {"realm": "https://a/t", "service": "s", "scope": "repository:x/y:pull"},
            "https://a/t?service=s&scope=repository%3Ax%2Fy%3Apull",
        ),
        ({"realm": "https://a/t"}, "https://a/t?scope=repository%3Aapp%3Apull"),
        ({"realm": "https://a/t?b=c", "scope": "d"}, "https://a/t?b=c&scope=d"),
        ({"realm": "https://a/t", "scope": "a b"}, "https://a/t?scope=a&scope=b"),
        ({"realm": "/t", "scope": "d"}, "https://r.io/t?scope=d"),
        ({"realm": "t", "scope": "d"}, "https://r.io/v2/app/manifests/t?scope=d"),
    ],
    ids=str,
)
def test_the_token_request_repeats_the_challenge(parameters, wanted):
    """Service and scopes are passed on; a relative realm is one on the registry."""
    request = challenge.token_request(
        Challenge("bearer", parameters), "https://r.io/v2/app/manifests/1", "app"
    )

    assert request.url == wanted


@pytest.mark.parametrize(
    "realm", ["", "http://a/t", "https://127.0.0.1/t", "https://169.254.1.1/t"]
)
def test_a_realm_is_followed_no_further_than_a_redirect(realm):
    """T07: a realm without TLS, on this machine, or none at all is refused."""
    with pytest.raises(ValueError, match=r"TLS|this machine|no address"):
        challenge.token_request(Challenge("bearer", {"realm": realm}), "https://r.io/v2/", "app")
