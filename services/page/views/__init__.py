"""One view a file: what a template shows, computed from the store; no HTML here."""
