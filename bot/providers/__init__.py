"""Clients of the AI providers: facts in, events out; no users, credits, Discord or database."""
