"""Atelier: composition, domain and provider clients. The layers stand in docs/architecture.md."""
