"""Where public data sets live: the folder that `WRISTWISE_DATA` names, else the platform's cache."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def data_root() -> Path:
    """Return the folder of public data sets; it need not exist."""
    named = os.environ.get("WRISTWISE_DATA", "")
    return Path(named) if named else platformdirs.user_cache_path("wristwise") / "data"
