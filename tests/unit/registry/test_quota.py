"""What is left of a rate limit is read without a pull."""

import pytest
from support.faults import with_headers

from layerkit.registry.quota import Quota, quota


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        (
            {
                "RateLimit-Limit": "100;w=21600",
                "RateLimit-Remaining": "76;w=21600",
                "Docker-RateLimit-Source": "192.0.2.1",
            },
            Quota(100, 76, 21600, "192.0.2.1"),
        ),
        ({"RateLimit-Limit": "100", "RateLimit-Remaining": "0"}, Quota(100, 0, None, "")),
        ({"RateLimit-Remaining": "5; w=60"}, Quota(None, 5, 60, "")),
        ({"RateLimit-Limit": "many"}, Quota(None, None, None, "")),
        ({"Docker-RateLimit-Source": "a\x1bb"}, Quota(None, None, None, "a b")),
        ({}, Quota(None, None, None, "")),
    ],
)
def test_the_headers_are_read(registry, client, refer, headers, wanted):
    """L04: by HEAD, which does not count; what is missing or nonsense is not known."""
    registry.add_image("app", "1", [])
    registry.fault("/manifests/", with_headers(headers))

    assert quota(client, refer(registry, "app:1")) == wanted
    assert [each.method for each in registry.requests] == ["HEAD"]
