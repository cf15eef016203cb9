"""Use cases, one file each: they put the parts together. No printing, no environment, no exit."""
