"""The taxonomy of activities that the public sets share, and how hard a minute was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from data.recording import Recording
from pipelines.task import Estimate

# Seven classes that a wrist can tell and a person would name. Desk work is `still`: by energy spent (1.3 to 1.5 MET)
# it is sitting. Washing, dressing, sweeping and folding are one class, `household`: each set has other ones of them.
# `sport` is strong arm work that is neither walking nor running: ball games, clapping. Nobody cycles in these sets.
CLASSES = ("still", "walk", "run", "stairs", "household", "eat", "sport")
_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "still": ("sitting", "sit", "standing", "stand", "typing", "writing", "lying", "sedentary", "rest"),
        "walk": ("walking",),
        "run": ("running", "jogging", "jog"),
        "stairs": ("stepping up", "walking up and downstairs", "climbing stairs", "upstairs", "downstairs"),
        "household": (
            "teeth", "brushing teeth", "folding", "folding clothes", "pick up object", "jacket", "sweeping",
            "washing hands", "tie shoes", "door",
        ),
        "eat": ("eating", "drinking", "soup", "chips", "pasta", "sandwich", "eating soup", "eating chips",
                "eating pasta", "eating sandwich"),
        "sport": ("kicking", "catch", "dribbling", "clapping", "kicking soccer ball", "playing catch",
                  "dribbling basketball"),
    }
)  # fmt: skip
_CLASS_OF = {name: label for label, names in _NAMES.items() for name in (label, *names)}

# Cut points for the wrist of adults, ActiGraph: 44.8 mg (Hildebrand 2016, doi:10.1111/sms.12795), 100.6 and 428.8 mg
# (Hildebrand 2014, doi:10.1249/MSS.0000000000000289).
LIGHT_MG, MODERATE_MG, VIGOROUS_MG = 44.8, 100.6, 428.8


def class_of(activity: str) -> str | None:
    """
    Return the class of an activity as a data set or a header names it; None where it has none.

    Examples
    --------
    >>> class_of("Jogging"), class_of("walk"), class_of("jump")
    ('run', 'walk', None)
    """
    return _CLASS_OF.get(activity.strip().lower().replace("_", " "))


def enmo_mg(motion_g: NDArray[np.float32]) -> NDArray[np.float32]:
    """
    Return the mean of max(size - 1 g, 0) over the second axis, in mg; 0 where nothing was sensed.

    On the 20 Hz grid, whose low-pass takes a few per cent off what 60 Hz devices give.

    Parameters
    ----------
    motion_g : ndarray of float32, shape (n_windows, n_samples, 3)
    """
    excess = np.maximum(np.linalg.norm(motion_g, axis=2) - 1.0, 0.0)
    seen = np.isfinite(excess)
    total = np.where(seen, excess, 0.0).sum(axis=1)
    return np.asarray(1000 * total / np.maximum(seen.sum(axis=1), 1), np.float32)


def intensity(enmo: float) -> str:
    """Return ``sedentary``, ``light``, ``moderate`` or ``vigorous`` for an ENMO in mg."""
    if enmo < LIGHT_MG:
        return "sedentary"
    if enmo < MODERATE_MG:
        return "light"
    return "moderate" if enmo < VIGOROUS_MG else "vigorous"


def active_minutes(estimates: Iterable[Estimate]) -> dict[str, float]:
    """
    Return minutes of moderate and vigorous activity, and their sum with the vigorous ones twice (WHO 2020).

    Each estimate of kind ``activity`` stands for the time from its start to the next one's.
    """
    ordered = sorted((e for e in estimates if e.kind == "activity"), key=lambda e: e.start_s)
    minutes = {"moderate": 0.0, "vigorous": 0.0}
    for one, following in zip(ordered, [*ordered[1:], None], strict=True):
        until = one.end_s if following is None else min(following.start_s, one.end_s)
        name = str(one.extras.get("intensity", ""))
        if name in minutes:
            minutes[name] += max(0.0, until - one.start_s) / 60
    return {**minutes, "minutes": minutes["moderate"] + 2 * minutes["vigorous"]}


def reference(recording: Recording, start_s: NDArray[np.float64], end_s: NDArray[np.float64]) -> NDArray[np.intp]:
    """
    Return the class of each window as an index into `CLASSES`; -1 where it is unknown or changes inside.

    From the annotation ``activity`` (labels at each change) where there is one with labels, else from the header's
    ``activity``, which holds for the whole recording.
    """
    marks = recording.annotations.get("activity")
    if marks is None or not any(marks.label):
        label = class_of(recording.meta.get("activity", ""))
        return np.full(start_s.size, -1 if label is None else CLASSES.index(label), np.intp)
    codes = np.array([-1 if (c := class_of(name)) is None else CLASSES.index(c) for name in marks.label], np.intp)
    first = np.searchsorted(marks.t_s, start_s + 1e-6, side="right") - 1
    last = np.searchsorted(marks.t_s, end_s - 1e-6, side="right") - 1
    return np.where((first >= 0) & (first == last), codes[np.maximum(first, 0)], -1).astype(np.intp)
