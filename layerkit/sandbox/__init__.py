"""Containers: from an image's configuration to a process in its own namespaces.

`spec` says what is wanted, `plan` turns it into a list of steps (both pure), `child` executes the
list with `steps` inside the new namespaces, and `process` starts that, relays and waits.
"""
