"""The store: users, chunks, records, changes and leased work, on SQLite or PostgreSQL behind one interface."""
