"""Sweeps over configurations that survive a kill: a study on disk, a folder a trial, nothing run twice."""
