"""Layers: from a registry's bytes to a checked tar, from a tar to its index, from indexes to a tree."""
