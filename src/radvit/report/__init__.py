"""Findings to report, report to files."""
