"""The tables of the database, as the steps that made them."""

from __future__ import annotations

STEPS = (
    """
CREATE TABLE image (
    manifest TEXT PRIMARY KEY, media_type TEXT NOT NULL, manifest_size INTEGER NOT NULL,
    config TEXT NOT NULL, platform TEXT NOT NULL, created TEXT NOT NULL, size INTEGER NOT NULL,
    pulled REAL NOT NULL DEFAULT ((julianday('now') - 2440587.5) * 86400.0),
    used REAL NOT NULL DEFAULT ((julianday('now') - 2440587.5) * 86400.0)
) STRICT;
CREATE TABLE image_layer (
    manifest TEXT NOT NULL REFERENCES image ON DELETE CASCADE, position INTEGER NOT NULL,
    blob TEXT NOT NULL, diff_id TEXT NOT NULL, PRIMARY KEY (manifest, position)
) STRICT;
CREATE INDEX image_layer_diff_id ON image_layer (diff_id);
CREATE TABLE name (
    name TEXT PRIMARY KEY, manifest TEXT NOT NULL REFERENCES image, target TEXT NOT NULL
) STRICT;
CREATE TABLE container (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, image_name TEXT NOT NULL,
    manifest TEXT NOT NULL REFERENCES image, created REAL NOT NULL
) STRICT
""",
    """
ALTER TABLE container ADD COLUMN driver TEXT NOT NULL DEFAULT 'overlay';
ALTER TABLE container ADD COLUMN chain TEXT NOT NULL DEFAULT '';
CREATE TABLE snapshot (
    id TEXT PRIMARY KEY, container TEXT NOT NULL REFERENCES container, name TEXT NOT NULL,
    created REAL NOT NULL, chain TEXT NOT NULL, UNIQUE (container, name)
) STRICT
""",
)
"""Statements that make a schema of the one before; an older database goes through the rest."""
VERSION = len(STEPS)
