"""EROFS on disk, as far as it is written here (Linux fs/erofs/erofs_fs.h); all little-endian."""

from __future__ import annotations

import stat
import struct

from layerkit.tree import Kind

BLOCK_BITS = 9
BLOCK = 1 << BLOCK_BITS
"""The smallest there is, and that of tar: so content lies in a tar at whole blocks."""
SUPER_AT = 1024
SLOT = 32
"""Inodes are numbered by the places of this size at which they begin."""
BLOCK_LIMIT = 0xFFFF_FFFE
HOLE = 0xFFFF_FFFF
LONGEST_VALUE = 0xFFFF

FLAT_PLAIN, FLAT_INLINE, CHUNK_BASED = 0, 2, 4

COMPAT_MTIME = 0x2
INCOMPAT_CHUNKED_FILE = 0x4
INCOMPAT_DEVICE_TABLE = 0x8

SUPERBLOCK = struct.Struct("<3I2BHQQ4I16s16sI3H2BIQB23x")
"""magic, checksum, compatible features; block bits, slots, root; inodes, time, ns, blocks, begin of
inodes and of shared xattrs; UUID, name, incompatible features; compression, devices, their table;
directory block bits, prefixes; their begin; packed inode; filter.
"""
MAGIC = 0xE0F5E1E2

DEVICE = struct.Struct("<64sII56x")
"""A tag, blocks, and the block at which they begin in the address space of the whole."""

INODE = struct.Struct("<4HQ4Iq2I16x")
"""format, xattr units, mode, reserved; size; place, number, uid, gid; seconds; ns, links."""

DIRENT = struct.Struct("<QHBx")
"""inode, offset of the name in its block, type."""

XATTR_HEADER = struct.Struct("<IB7x")
"""Filter, number of shared ones; then their places, then the others."""
XATTR = struct.Struct("<BBH")
"""Length of the name, its prefix, length of the value; then both."""
XATTR_UNIT = 4
XATTR_PREFIXES = {
    "user.": 1,
    "system.posix_acl_access": 2,
    "system.posix_acl_default": 3,
    "trusted.": 4,
    "security.": 6,
}

MODES = {
    Kind.FILE: stat.S_IFREG,
    Kind.DIRECTORY: stat.S_IFDIR,
    Kind.SYMLINK: stat.S_IFLNK,
    Kind.CHARACTER: stat.S_IFCHR,
    Kind.BLOCK: stat.S_IFBLK,
    Kind.FIFO: stat.S_IFIFO,
    Kind.SOCKET: stat.S_IFSOCK,
}
TYPES = {
    Kind.FILE: 1,
    Kind.DIRECTORY: 2,
    Kind.CHARACTER: 3,
    Kind.BLOCK: 4,
    Kind.FIFO: 5,
    Kind.SOCKET: 6,
    Kind.SYMLINK: 7,
}


def inode_format(layout: int) -> int:
    """The format of an extended inode with its data in this layout."""
    return 1 | layout << 1


def device_number(major: int, minor: int) -> int:
    """A device's numbers in one (Linux include/linux/kdev_t.h, new_encode_dev)."""
    return (minor & 0xFF) | major << 8 | (minor & ~0xFF) << 12


def device_numbers(number: int) -> tuple[int, int]:
    """The device's numbers of such a one."""
    return number >> 8 & 0xFFF, number & 0xFF | number >> 12 & 0xFFF00


def blocks(size: int) -> int:
    """How many blocks hold so many bytes."""
    return (size + BLOCK - 1) >> BLOCK_BITS
