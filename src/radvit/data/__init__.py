"""Data sources, caches, splits and batches."""
