"""Containers on a bridge of their own: addresses, published ports, nothing that must keep running."""
