"""Warnings of registries are told once, short and harmless."""

import pytest
from support.faults import with_headers

from layerkit.registry import warning
from layerkit.registry.warning import Warnings


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ('299 - "text"', ["text"]),
        ('299 - "a \\"b\\" \\\\c"', ['a "b" \\c']),
        ('299 - "one", 299 - "two, three"', ["one", "two, three"]),
        ('299 - "text" "Sat, 25 Aug 2026 23:34:45 GMT"', ["text"]),
        ('299 - "\x1b[31mred\x07\u202e"', ["[31mred"]),
        ('299 - ""', []),
        ('110 - "stale"', []),
        ('299 other "text"', []),
        ("299 - text", []),
        ("", []),
    ],
)
def test_only_the_texts_for_people_are_taken(line, wanted):
    """X04: code 299 with no agent; quotes are undone, controls are gone."""
    assert warning.parse(line) == wanted


def test_a_long_text_is_cut():
    """X04: 10 KiB of warning become a line."""
    (text,) = warning.parse(f'299 - "{"x" * 10_240}"')

    assert len(text) == 300


def test_each_text_is_told_once():
    """X04: a hundred answers with the same text are one warning, and there is an end of new ones."""
    warnings = Warnings()
    for _ in range(100):
        warnings.take("r", ['299 - "same"'])
    assert warnings.new() == ["registry r says: same"]
    warnings.take("r", ['299 - "same"', *(f'299 - "{n}"' for n in range(100))])
    assert len(warnings.new()) == 19
    assert warnings.new() == []


def test_a_client_collects_them(registry, client, refer):
    """X04: from whatever answer, also from a refusal."""
    registry.fault("/manifests/", with_headers({"Warning": '299 - "soon gone"'}))
    with pytest.raises(Exception, match="has no manifest"):
        client.resolve_document(refer(registry, "app:1"))

    assert client.new_warnings() == [f"registry {registry.host} says: soon gone"]
