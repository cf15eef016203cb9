"""Views of image trees as directories: what a container mounts below its own writable layer."""
