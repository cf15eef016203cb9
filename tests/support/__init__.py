"""What several tests share: archives and trees in a few words, registries, images."""
