"""Which system calls a container may make: profiles in docker's format, compiled for the kernel.

`programs` finds or makes the program; `profile` reads profiles, `compiling` makes programs of them.
"""
