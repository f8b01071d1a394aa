"""What the bot answers over HTTP: its health, and the callbacks of providers."""
