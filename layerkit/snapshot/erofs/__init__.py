"""EROFS images without content: a tree's metadata, while the bytes of files stay in the layer tars."""
