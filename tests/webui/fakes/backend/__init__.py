"""Forge's own library."""
