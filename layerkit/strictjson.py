"""JSON from outside, read so that no other reader can see something else in it (RFC 8259, I-JSON)."""

from __future__ import annotations

import json
from typing import Any


def parse_object(raw: bytes, limit: int) -> dict[str, Any]:
    """The JSON object in `raw`, which may have `limit` bytes.

    Raises `ValueError` with the reason: too long, no JSON, a key twice in one object, a number or a
    text that JSON can spell but neither a file nor a database can hold, no object.
    """
    if len(raw) > limit:
        raise ValueError(f"{len(raw)} bytes, at most {limit} allowed")
    try:
        document = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
        # Half a surrogate pair and a number beyond all floats do not survive this.
        json.dumps(document, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON as RFC 8259 wants it ({error})") from None
    if not isinstance(document, dict):
        raise ValueError(f"a JSON {type(document).__name__}, wanted an object")  # noqa: TRY004
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("an object has the same key twice")
    return result


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
