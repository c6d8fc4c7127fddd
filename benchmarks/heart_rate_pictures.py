"""The pictures of docs/heart-rate.md, drawn from the folds of the first seed: nobody shown was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.heart_rate_gate import NEAR_BPM, Scored

Rows = NDArray[np.float64]

_SETS = {"spc2015": "SPC 1-12", "bami-1": "BAMI-1", "spc-arm": "arm exercise", "wrist": "wrist"}
_SHOWN = ("spc2015/10", "bami-1/Subject_16", "spc2015/S02_T02", "wrist/s8_walk")


def draw(calibrated: Sequence[tuple[Scored, Rows]], folder: Path) -> None:
    """Write the five pictures of recordings and their `heart_rate_gate.table`; nothing without any."""
    if not calibrated:
        return
    folder.mkdir(parents=True, exist_ok=True)
    _over_time(calibrated, folder / "heart_rate_over_time.png")
    _bland_altman(calibrated, folder / "heart_rate_bland_altman.png")
    _risk_coverage(calibrated, folder / "heart_rate_risk_coverage.png")
    _by_group(calibrated, folder / "heart_rate_error_by_activity.png")
    _reliability(calibrated, folder / "heart_rate_quality.png")


def _figure(n: int) -> tuple[Any, Any]:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    return plt.subplots(1, n, figsize=(4.2 * n, 3.2), layout="constrained")


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=70, metadata={"Software": None})


def _over_time(calibrated: Sequence[tuple[Scored, Rows]], path: Path) -> None:
    by_key = {r.key: rows for r, rows in calibrated}
    shown = [n for n in _SHOWN if n in by_key]
    figure, axes = _figure(max(1, len(shown)))
    for axis, name in zip(np.atleast_1d(axes), shown, strict=False):
        rows = by_key[name]
        said = np.where(rows[:, 5] > 0, rows[:, 2], np.nan)
        axis.fill_between(rows[:, 0], rows[:, 2] - rows[:, 3], rows[:, 2] + rows[:, 3], alpha=0.2, lw=0)
        axis.plot(rows[:, 0], rows[:, 2], lw=0.7, color="0.6", label="refused")
        axis.plot(rows[:, 0], said, lw=1.4, label="estimate")
        axis.plot(rows[:, 0], rows[:, 1], "k:", lw=1.2, label="reference")
        axis.set(title=name, xlabel="s", ylim=(40, 200))
    np.atleast_1d(axes)[0].set_ylabel("BPM")
    np.atleast_1d(axes)[0].legend(loc="lower right", fontsize=8)
    _save(figure, path)


def _of_set(calibrated: Sequence[tuple[Scored, Rows]], name: str) -> Rows:
    return np.concatenate([np.empty((0, 6)), *[rows for r, rows in calibrated if r.set == name]])


def _bland_altman(calibrated: Sequence[tuple[Scored, Rows]], path: Path) -> None:
    figure, axes = _figure(len(_SETS))
    for axis, (key, title) in zip(axes, _SETS.items(), strict=True):
        rows = _of_set(calibrated, key)
        rows = rows[rows[:, 5] > 0]
        if not len(rows):
            continue
        difference = rows[:, 2] - rows[:, 1]
        axis.plot((rows[:, 1] + rows[:, 2]) / 2, difference, ".", ms=1.5, alpha=0.4)
        low, middle, high = np.mean(difference) + np.array([-1.96, 0, 1.96]) * np.std(difference)
        for level in (low, middle, high):
            axis.axhline(level, color="k", lw=0.8, ls="--")
        axis.set(title=f"{title}: {middle:+.1f} ({low:+.1f} to {high:+.1f})", xlabel="mean, BPM", ylim=(-40, 40))
    axes[0].set_ylabel("estimate - reference, BPM")
    figure.suptitle("Windows that the gate answered", fontsize=9)
    _save(figure, path)


def _risk_coverage(calibrated: Sequence[tuple[Scored, Rows]], path: Path) -> None:
    figure, axis = _figure(1)
    for key, title in _SETS.items():
        rows = _of_set(calibrated, key)
        if not len(rows):
            continue
        order = np.argsort(-rows[:, 4], kind="stable")
        risk = np.cumsum(np.abs(rows[:, 2] - rows[:, 1])[order]) / np.arange(1, len(order) + 1)
        (line,) = axis.plot(np.arange(1, len(order) + 1) / len(order), risk, label=title)
        gated = float(rows[:, 5].mean())
        axis.plot(gated, np.interp(gated, np.arange(1, len(order) + 1) / len(order), risk), "o", color=line.get_color())
    axis.set(xlabel="coverage", ylabel="mean error, BPM", ylim=(0, 18), title="Best quality first; dot: the gate")
    axis.legend(fontsize=8)
    _save(figure, path)


def _by_group(calibrated: Sequence[tuple[Scored, Rows]], path: Path) -> None:
    figure, axes = _figure(2)
    by: dict[str, list[Rows]] = {}
    for recording, rows in calibrated:
        names = np.array([f"{recording.set} {a}" for a in recording.activity])
        for name in np.unique(names):
            by.setdefault(str(name), []).append(rows[names == name])
    _bars(axes[0], {name: np.concatenate(parts) for name, parts in by.items()})
    every = np.concatenate([rows for _, rows in calibrated])
    edges = np.arange(50, 191, 20)
    which = np.digitize(every[:, 1], edges)
    _bars(
        axes[1], {f"{edges[k - 1]}-{edges[k]}": every[which == k] for k in range(1, len(edges)) if (which == k).any()}
    )
    axes[0].set(title="By activity")
    axes[1].set(title="By heart rate, BPM")
    axes[1].legend(fontsize=8)
    _save(figure, path)


def _bars(axis: Any, groups: Mapping[str, Rows]) -> None:
    """Error of all windows, and of those answered, in each group."""
    at = np.arange(len(groups))
    error = [np.abs(r[:, 2] - r[:, 1]) for r in groups.values()]
    answered = [e[r[:, 5] > 0] for e, r in zip(error, groups.values(), strict=True)]
    axis.barh(at - 0.2, [e.mean() for e in error], 0.4, label="all windows", color="0.7")
    axis.barh(at + 0.2, [e.mean() if e.size else 0.0 for e in answered], 0.4, label="answered")
    axis.set_yticks(at, list(groups), fontsize=7)
    axis.set(xlabel="error, BPM")


def _reliability(calibrated: Sequence[tuple[Scored, Rows]], path: Path) -> None:
    figure, axis = _figure(1)
    edges = np.linspace(0, 1, 11)
    for key, title in _SETS.items():
        rows = _of_set(calibrated, key)
        which = np.digitize(rows[:, 4], edges[1:-1])
        right = np.abs(rows[:, 2] - rows[:, 1]) <= NEAR_BPM
        enough = [k for k in range(10) if (which == k).sum() >= 20]
        axis.plot([rows[which == k, 4].mean() for k in enough], [right[which == k].mean() for k in enough], "o-",
                  ms=4, label=title)  # fmt: skip
    axis.plot([0, 1], [0, 1], "k:", lw=0.8)
    axis.set(xlabel="quality", ylabel="share within 5 BPM", title="What the quality claims, and what is")
    axis.legend(fontsize=8)
    _save(figure, path)
