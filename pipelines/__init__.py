"""Signals to windows to estimates, one file a task. The law of this room: numpy and scipy only, no I/O, no clock."""
