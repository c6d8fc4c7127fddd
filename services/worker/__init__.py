"""The worker: leased jobs that turn chunks into records."""
