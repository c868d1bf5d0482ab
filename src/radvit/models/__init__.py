"""Backbones, heads, losses and decoding."""
