"""Thin Discord faces, one file per feature."""
