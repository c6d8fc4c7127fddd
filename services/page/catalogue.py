"""Every word of the page, in English and Chinese, from one file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

LANGUAGES = {"en": "English", "zh": "中文"}
DEFAULT = "en"
Translate = Callable[..., str]


@cache
def messages() -> Mapping[str, Mapping[str, str]]:
    """Return {key: {language: text}}."""
    loaded: dict[str, dict[str, str]] = json.loads(
        Path(__file__).with_name("messages.json").read_text(encoding="utf-8")
    )
    return loaded


def translator(language: str) -> Translate:
    """
    Return a function from key and values to text in `language`.

    A key that is not in the catalogue is shown as it is: words that come from data (an activity that a device made up)
    are still readable.
    """

    def translate(key: str, **values: Any) -> str:
        entry = messages().get(key)
        text = key.rsplit(".", 1)[-1].replace("_", " ") if entry is None else entry[language]
        return text.format(**values) if values else text

    return translate


def choose(wanted: str | None, accepted: str | None) -> str:
    """Return the language asked for, else the first of the browser's that we have, else English."""
    if wanted in LANGUAGES:
        return wanted
    for part in (accepted or "").split(","):
        code = part.split(";")[0].strip().lower().split("-")[0]
        if code in LANGUAGES:
            return code
    return DEFAULT
