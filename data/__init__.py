"""Recordings: what was sensed, where it came from, and how to read and write it."""
