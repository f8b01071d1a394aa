"""AI Video API on loopback: the three chat endpoints of its documents, and switches for faults."""
