"""A Discord and a provider on loopback. Knows nothing of bot, cogs or storage."""
