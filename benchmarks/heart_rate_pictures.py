"""The pictures of docs/heart-rate.md, drawn from the folds' per-window rows of the first seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SETS = {"spc2015": "SPC 1-12", "bami-1": "BAMI-1", "spc-arm": "arm exercise", "wrist": "wrist"}
_SHOWN = ("spc2015/10", "bami-1/Subject_16", "spc2015/S02_T02", "wrist/s8_walk")


def draw(results: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Write the four pictures of what the folds of seed 0 said; nothing without those."""
    rows = {
        name: row for r in results if r["job"].startswith("fold") and r["seed"] == 0 for name, row in r["rows"].items()
    }
    if not rows:
        return
    folder.mkdir(parents=True, exist_ok=True)
    _over_time(rows, folder / "heart_rate_over_time.png")
    _bland_altman(rows, folder / "heart_rate_bland_altman.png")
    _risk_coverage(rows, folder / "heart_rate_risk_coverage.png")
    _by_band(rows, folder / "heart_rate_error_by_activity.png")


def _figure(n: int) -> tuple[Any, Any]:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    return plt.subplots(1, n, figsize=(4.2 * n, 3.2), layout="constrained")


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=70, metadata={"Software": None})


def _table(row: Mapping[str, Any]) -> NDArray[np.float64]:
    return np.array(row["pruned"], np.float64).reshape(-1, 6)


def _over_time(rows: Mapping[str, Any], path: Path) -> None:
    shown = [n for n in _SHOWN if n in rows]
    figure, axes = _figure(len(shown))
    for axis, name in zip(np.atleast_1d(axes), shown, strict=True):
        table = _table(rows[name])
        axis.fill_between(table[:, 0], table[:, 2] - table[:, 3], table[:, 2] + table[:, 3], alpha=0.25, lw=0)
        axis.plot(table[:, 0], table[:, 2], lw=1.2, label="estimate")
        axis.plot(table[:, 0], table[:, 1], "k:", lw=1.2, label="reference")
        axis.set(title=name, xlabel="s", ylim=(40, 200))
    np.atleast_1d(axes)[0].set_ylabel("BPM")
    np.atleast_1d(axes)[0].legend(loc="lower right", fontsize=8)
    _save(figure, path)


def _bland_altman(rows: Mapping[str, Any], path: Path) -> None:
    figure, axes = _figure(len(_SETS))
    for axis, (key, title) in zip(axes, _SETS.items(), strict=True):
        table = np.concatenate([_table(r) for r in rows.values() if r["set"] == key])
        difference = table[:, 2] - table[:, 1]
        axis.plot((table[:, 1] + table[:, 2]) / 2, difference, ".", ms=1.5, alpha=0.4)
        low, middle, high = np.mean(difference) + np.array([-1.96, 0, 1.96]) * np.std(difference)
        for level in (low, middle, high):
            axis.axhline(level, color="k", lw=0.8, ls="--")
        axis.set(title=f"{title}: {middle:+.1f} ({low:+.1f} to {high:+.1f})", xlabel="mean, BPM", ylim=(-40, 40))
    axes[0].set_ylabel("estimate - reference, BPM")
    _save(figure, path)


def _risk_coverage(rows: Mapping[str, Any], path: Path) -> None:
    figure, axis = _figure(1)
    for key, title in _SETS.items():
        table = np.concatenate([_table(r) for r in rows.values() if r["set"] == key])
        order = np.argsort(-table[:, 4], kind="stable")
        risk = np.cumsum(np.abs(table[:, 2] - table[:, 1])[order]) / np.arange(1, len(order) + 1)
        axis.plot(np.arange(1, len(order) + 1) / len(order), risk, label=title)
    axis.set(xlabel="coverage", ylabel="mean error, BPM", ylim=(0, 12), title="Best quality first")
    axis.legend(fontsize=8)
    _save(figure, path)


def _by_band(rows: Mapping[str, Any], path: Path) -> None:
    figure, axes = _figure(2)
    by: dict[str, list[float]] = {}
    for row in rows.values():
        table = _table(row)
        by.setdefault(row["activity"], []).append(float(np.abs(table[:, 2] - table[:, 1]).mean()))
    axes[0].barh(list(by), [float(np.mean(v)) for v in by.values()])
    axes[0].set(xlabel="error, BPM", title="By activity")
    every = np.concatenate([_table(r) for r in rows.values()])
    edges = np.arange(50, 191, 20)
    which = np.digitize(every[:, 1], edges)
    error = np.abs(every[:, 2] - every[:, 1])
    bands = [error[which == k].mean() if (which == k).any() else 0.0 for k in range(1, len(edges))]
    axes[1].bar([f"{a}" for a in edges[:-1]], bands)
    axes[1].set(xlabel="reference from, BPM", title="By heart rate")
    _save(figure, path)
