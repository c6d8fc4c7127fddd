"""Kinds of records that the service treats alike: events are urgent, daily figures are trends, totals add up."""

from __future__ import annotations

from typing import Final

EVENTS: Final = ("fall", "irregular_rhythm")
DAILY: Final = ("resting_heart_rate", "rmssd", "sdnn", "sleep", "steps", "active_minutes")
CUMULATIVE: Final = ("steps",)
LIVE: Final = ("heart_rate", *EVENTS)
