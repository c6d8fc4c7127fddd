"""Deep Compression and its relatives: fewer bytes for the same answers."""
