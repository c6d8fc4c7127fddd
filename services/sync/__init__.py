"""The sync API: what watches and companions speak to. `create_app` is the front door."""
