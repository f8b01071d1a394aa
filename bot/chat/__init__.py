"""The chat: one turn from question to settled answer."""
