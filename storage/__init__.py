"""Durable facts and the rules that hold over them. Knows neither Discord, HTTP nor the clock."""
