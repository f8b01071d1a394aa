"""Pictures and videos as tasks: two protocols, their results as files, and callbacks."""
