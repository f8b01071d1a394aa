"""AI Video API on loopback: the endpoints of its documents, a gateway of videos, and faults."""
