"""The small programs of a container's first process, in machine code, and their sources."""
