"""Metrics, figures and tables of a run."""
