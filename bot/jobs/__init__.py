"""Pictures and videos: a command becomes a job, its end arrives once and is paid once."""
