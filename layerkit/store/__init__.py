"""The state directory: blobs and layers by digest, and the names that point to them."""
