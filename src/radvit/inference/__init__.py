"""Engines, the predictor and findings."""
