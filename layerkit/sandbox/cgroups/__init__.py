"""Control groups: what a container may use, counted and held back by the kernel.

`hierarchies` finds the trees of this machine, version 1, 2 or both. `settings` and `devices` are
pure: from limits and rules to what is to be written. `making` makes the groups of one container,
`group` changes, freezes, kills and removes them, `stats` reads them, and `enter` does the steps
of the container's own first process.
"""
