"""Models, capabilities, limits and prices as data."""
