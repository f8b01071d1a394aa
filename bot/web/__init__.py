"""What the bot answers over HTTP: today its health, later the callbacks of providers."""
