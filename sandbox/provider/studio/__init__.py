"""Draws real pictures and films from a prompt: the same request gives the same bytes."""
