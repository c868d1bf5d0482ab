"""Encrypted storage."""
