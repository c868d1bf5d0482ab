"""Hydra's way to radvit.sweep."""
