"""Pictures of heart-rate estimates against their reference: for a run's report and docs/heart-rate.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]
NEAR_BPM = 5.0
_TITLES = {"spc2015": "SPC 1-12", "bami-1": "BAMI-1", "spc-arm": "arm exercise"}
_MOST = 4  # recordings and groups shown side by side


@dataclass(frozen=True)
class Shown:
    """
    One recording's windows with a reference.

    Parameters
    ----------
    key, group : str
        Its name, and what it is drawn together with.
    activity : sequence of str
        Of each window.
    rows : ndarray, shape (n, 6)
        End in seconds, reference, estimate, half width, quality, answered: `windows` of the task's score.
    """

    key: str
    group: str
    activity: Sequence[str]
    rows: Rows


def draw(shown: Sequence[Shown], folder: Path, first: Sequence[str] = ()) -> list[Path]:
    """
    Write the pictures as ``heart_rate_*.png`` and return their paths; nothing without recordings.

    Parameters
    ----------
    first : sequence of str, optional
        Keys of the recordings to show over time; default: the first of each group.
    """
    if not shown:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    by_group: dict[str, list[Shown]] = {}
    for one in shown:
        by_group.setdefault(one.group, []).append(one)
    groups = {name: np.concatenate([s.rows for s in several]) for name, several in by_group.items()}
    chosen = [s for s in shown if s.key in first] or [several[0] for several in by_group.values()]
    pictures: dict[str, Callable[[Path], None]] = {
        "over_time": lambda path: _over_time(chosen[:_MOST], path),
        "bland_altman": lambda path: _bland_altman(dict(list(groups.items())[:_MOST]), path),
        "risk_coverage": lambda path: _risk_coverage(groups, path),
        "error_by_activity": lambda path: _by_group(shown, path),
        "quality": lambda path: _reliability(groups, path),
    }
    paths = [folder / f"heart_rate_{name}.png" for name in pictures]
    for paint, path in zip(pictures.values(), paths, strict=True):
        paint(path)
    return paths


def _figure(n: int) -> tuple[Any, Any]:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, n, figsize=(4.2 * n, 3.2), layout="constrained", squeeze=False)
    return figure, axes[0]


def _save(figure: Any, path: Path) -> None:
    import matplotlib.pyplot as plt

    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)


def _over_time(chosen: Sequence[Shown], path: Path) -> None:
    figure, axes = _figure(len(chosen))
    for axis, one in zip(axes, chosen, strict=True):
        rows = one.rows
        said = np.where(rows[:, 5] > 0, rows[:, 2], np.nan)
        axis.fill_between(rows[:, 0], rows[:, 2] - rows[:, 3], rows[:, 2] + rows[:, 3], alpha=0.2, lw=0)
        axis.plot(rows[:, 0], rows[:, 2], lw=0.7, color="0.6", label="refused")
        axis.plot(rows[:, 0], said, lw=1.4, label="estimate")
        axis.plot(rows[:, 0], rows[:, 1], "k:", lw=1.2, label="reference")
        axis.set(title=one.key, xlabel="s", ylim=(40, 200))
    axes[0].set_ylabel("BPM")
    axes[0].legend(loc="lower right", fontsize=8)
    _save(figure, path)


def _bland_altman(groups: Mapping[str, Rows], path: Path) -> None:
    figure, axes = _figure(len(groups))
    for axis, (name, every) in zip(axes, groups.items(), strict=True):
        rows = every[every[:, 5] > 0]
        if not len(rows):
            continue
        difference = rows[:, 2] - rows[:, 1]
        axis.plot((rows[:, 1] + rows[:, 2]) / 2, difference, ".", ms=1.5, alpha=0.4)
        low, middle, high = np.mean(difference) + np.array([-1.96, 0, 1.96]) * np.std(difference)
        for level in (low, middle, high):
            axis.axhline(level, color="k", lw=0.8, ls="--")
        axis.set(
            title=f"{_TITLES.get(name, name)}: {middle:+.1f} ({low:+.1f} to {high:+.1f})",
            xlabel="mean, BPM",
            ylim=(-40, 40),
        )
    axes[0].set_ylabel("estimate - reference, BPM")
    figure.suptitle("Windows that the gate answered", fontsize=9)
    _save(figure, path)


def _risk_coverage(groups: Mapping[str, Rows], path: Path) -> None:
    figure, (axis,) = _figure(1)
    for name, rows in groups.items():
        order = np.argsort(-rows[:, 4], kind="stable")
        risk = np.cumsum(np.abs(rows[:, 2] - rows[:, 1])[order]) / np.arange(1, len(order) + 1)
        (line,) = axis.plot(np.arange(1, len(order) + 1) / len(order), risk, label=_TITLES.get(name, name))
        gated = float(rows[:, 5].mean())
        axis.plot(gated, np.interp(gated, np.arange(1, len(order) + 1) / len(order), risk), "o", color=line.get_color())
    axis.set(xlabel="coverage", ylabel="mean error, BPM", ylim=(0, 18), title="Best quality first; dot: the gate")
    axis.legend(fontsize=8)
    _save(figure, path)


def _by_group(shown: Sequence[Shown], path: Path) -> None:
    figure, axes = _figure(2)
    by: dict[str, list[Rows]] = {}
    for one in shown:
        names = np.array([a if a == one.group else f"{one.group} {a}" for a in one.activity])
        for name in np.unique(names):
            by.setdefault(str(name), []).append(one.rows[names == name])
    _bars(axes[0], {name: np.concatenate(parts) for name, parts in by.items()})
    every = np.concatenate([one.rows for one in shown])
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


def _reliability(groups: Mapping[str, Rows], path: Path) -> None:
    figure, (axis,) = _figure(1)
    edges = np.linspace(0, 1, 11)
    for name, rows in groups.items():
        which = np.digitize(rows[:, 4], edges[1:-1])
        right = np.abs(rows[:, 2] - rows[:, 1]) <= NEAR_BPM
        enough = [k for k in range(10) if (which == k).sum() >= 20]
        axis.plot([rows[which == k, 4].mean() for k in enough], [right[which == k].mean() for k in enough], "o-",
                  ms=4, label=_TITLES.get(name, name))  # fmt: skip
    axis.plot([0, 1], [0, 1], "k:", lw=0.8)
    axis.set(xlabel="quality", ylabel="share within 5 BPM", title="What the quality claims, and what is")
    axis.legend(fontsize=8)
    _save(figure, path)
