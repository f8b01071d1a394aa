"""The edge to Discord: client, streaming, delivery, rendering."""
