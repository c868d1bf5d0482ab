"""Hydra's way to Slurm."""
