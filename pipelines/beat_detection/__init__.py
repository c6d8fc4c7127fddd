"""Heartbeats: R peaks of an ECG and pulses of a PPG."""

from pipelines.beat_detection.blocks import Beats, detect_beats

__all__ = ["Beats", "detect_beats"]
