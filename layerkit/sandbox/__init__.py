"""Containers: from an image's configuration to a process in its own namespaces.

`spec` says what is wanted and `plan` turns it into a list of `steps`, all of it pure. `process`
forks, relays and waits; in the new process `child` does the list with `perform` and `become`.
"""
