"""The owner of a file as an xattr, for who may not give files away (rootlesscontainers.proto).

The message `Resource` has two fields, 1 uid and 2 gid, both uint32. Without the xattr a file is
root's: the user stands for the root of the image. umoci and PRoot read and write the same.
"""

from __future__ import annotations

XATTR = "user.rootlesscontainers"
_UNCHANGED = 0xFFFFFFFF
_FIELDS = (b"\x08", b"\x10")
"""The keys of fields 1 and 2 on the wire, both varints."""


def encode(uid: int, gid: int) -> bytes:
    """The value of the xattr, empty for root, who needs none; as umoci, a 0 beside another is -1."""
    if uid == gid == 0:
        return b""
    pairs = zip(_FIELDS, (uid, gid), strict=True)
    return b"".join(key + _varint(number or _UNCHANGED) for key, number in pairs)


def _varint(number: int) -> bytes:
    """Seven bits a byte, lowest first; the top bit says that more follow."""
    more = bytearray()
    while number > 0x7F:  # noqa: PLR2004
        more.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*more, number])
