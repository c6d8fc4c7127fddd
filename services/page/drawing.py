"""Pictures that need no script: inline SVG with classes, coloured by the page's style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil, floor, isnan, log10
from typing import Any

from markupsafe import Markup

STAGE_ROWS = "WRLD"
_WIDTH, _ROW = 1000, 44


def hypnogram(stages: str, title: str) -> Markup:
    """
    Return the hypnogram as SVG: a row for each of `STAGE_ROWS`, time to the right; names stand beside it in HTML.

    Parameters
    ----------
    stages : str
        One of ``W L D R ?`` per epoch; unknown epochs are left empty.
    title : str
        What a screen reader says of the picture.
    """
    n = max(len(stages), 1)
    parts, at = [], 0
    for stage, group in groupby(stages):
        length = len(list(group))
        if stage in STAGE_ROWS:
            x, width, y = at / n * _WIDTH, max(length / n * _WIDTH, 1), STAGE_ROWS.index(stage) * _ROW + 4
            parts.append(f'<rect class="stage-{stage}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_ROW - 8}"/>')
        at += length
    return Markup(
        '<svg class="hypnogram" role="img" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-label="{}">{}</svg>'
    ).format(_WIDTH, len(STAGE_ROWS) * _ROW, title, Markup("".join(parts)))


def bars(values: Sequence[float | None], title: str) -> Markup:
    """Return a bar a value as SVG, as wide as a hypnogram; what is unknown has none, the highest fills the height."""
    top = max((v for v in values if v is not None), default=0.0) or 1.0
    width = _WIDTH / max(len(values), 1)
    drawn = "".join(
        f'<rect x="{k * width:.1f}" y="{60 - max(58 * v / top, 1):.1f}" width="{max(width - 1, 1):.1f}" height="60"/>'
        for k, v in enumerate(values)
        if v is not None
    )
    opening = Markup('<svg class="movement" role="img" viewBox="0 0 {} 60" preserveAspectRatio="none" aria-label="{}">')
    return opening.format(_WIDTH, title) + Markup(drawn + "</svg>")


def sparkline(values: Sequence[float | None], low: float | None, high: float | None, title: str) -> Markup:
    """Return a line over days as SVG, with the usual range as a band; gaps stay gaps."""
    known = [v for v in values if v is not None]
    if not known:
        return Markup("")
    bottom = min([*known, *([low] if low is not None else [])])
    top = max([*known, *([high] if high is not None else [])])
    span = (top - bottom) or 1.0

    def y(value: float) -> float:
        return 56 - 52 * (value - bottom) / span

    step = 300 / max(len(values) - 1, 1)
    band = ""
    if low is not None and high is not None:
        band = f'<rect class="usual" x="0" y="{y(high):.1f}" width="300" height="{max(y(low) - y(high), 1):.1f}"/>'
    runs: list[list[str]] = [[]]
    for k, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(f"{k * step:.1f},{y(value):.1f}")
    lines = "".join(f'<polyline points="{" ".join(r)}"/>' for r in runs if len(r) > 1)
    last = next(k for k in range(len(values) - 1, -1, -1) if values[k] is not None)
    dot = f'<circle cx="{last * step:.1f}" cy="{y(known[-1]):.1f}" r="4"/>'
    return Markup('<svg class="spark" role="img" viewBox="-4 0 312 60" aria-label="{}">{}</svg>').format(
        title, Markup(band + lines + dot)
    )


def trace(values: Sequence[float], mark: float, title: str) -> Markup:
    """
    Return a signal as SVG, with a line at the event.

    Parameters
    ----------
    values : sequence of float
        NaN where nothing was sensed: the line breaks there.
    mark : float
        Place of the event, as a share of the whole length.
    title : str
        What a screen reader says of the picture.
    """
    known = [v for v in values if not isnan(v)]
    if not known:
        return Markup("")
    top = max(*known, 1.5)
    step = 600 / max(len(values) - 1, 1)
    runs: list[list[str]] = [[]]
    for k, value in enumerate(values):
        if isnan(value):
            runs.append([])
        else:
            runs[-1].append(f"{k * step:.1f},{96 - 90 * value / top:.1f}")
    lines = "".join(f'<polyline points="{" ".join(r)}"/>' for r in runs if len(r) > 1)
    at = f'<line x1="{600 * mark:.1f}" x2="{600 * mark:.1f}" y1="0" y2="100"/>'
    opening = Markup('<svg class="trace" role="img" viewBox="0 0 600 100" preserveAspectRatio="none" aria-label="{}">')
    return opening.format(title) + Markup(at + lines + "</svg>")


def bar(share: float, css: str) -> Markup:
    """Return a horizontal bar of a share in [0, 1] of its whole; the figure stands beside it in words."""
    return stack([(css, min(max(share, 0.0), 1.0))], 1.0)


def stack(parts: Sequence[tuple[str, float]], whole: float) -> Markup:
    """Return a bar of parts side by side, each (class, size), against the size that fills it."""
    at, drawn = 0.0, Markup('<rect class="ground" width="100" height="10"/>')
    rect = Markup('<rect class="{}" x="{:.2f}" width="{:.2f}" height="10"/>')  # a class may come from a client's word
    for css, size in parts:
        width = 100 * size / whole if whole else 0.0
        drawn += rect.format(css, at, width)
        at += width
    frame = Markup('<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">{}</svg>')
    return frame.format(drawn)


def scatter(points: Sequence[Mapping[str, Any]]) -> Markup:
    """
    Return error against bytes (both on a logarithmic scale) as SVG: a dot a point, its front as a line.

    Parameters
    ----------
    points : sequence of mapping
        With ``family``, ``label``, ``bytes``, ``error`` and ``front``, in order of bytes.
    """
    if not points:
        return Markup("")
    xs, ys = ([log10(max(p[name], 1e-6)) for p in points] for name in ("bytes", "error"))
    x, y = _scale(xs, 46, 590), _scale(ys, 250, 14)
    drawn = Markup("")
    for line, words in ((x, "{:,.0f} B"), (y, "{:.2g}")):
        for value in _ticks(line.low, line.high):
            drawn += _tick(line(log10(value)), words.format(value), upright=line is x)
    front = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b, p in zip(xs, ys, points, strict=True) if p["front"])
    drawn += Markup('<polyline class="front" points="{}"/>').format(front)
    dot = Markup('<circle class="family-{}" cx="{:.1f}" cy="{:.1f}" r="{}"><title>{}: {:,} B, {:.3g}</title></circle>')
    for a, b, p in zip(xs, ys, points, strict=True):
        drawn += dot.format(p["family"], x(a), y(b), 6 if p["front"] else 4, p["label"], p["bytes"], p["error"])
    return Markup('<svg class="scatter" viewBox="0 0 600 280" aria-hidden="true">{}</svg>').format(drawn)


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float
    at_low: float
    at_high: float

    def __call__(self, value: float) -> float:
        return self.at_low + (value - self.low) / (self.high - self.low) * (self.at_high - self.at_low)


def _scale(values: Sequence[float], at_low: float, at_high: float) -> _Scale:
    margin = 0.04 * (max(values) - min(values)) or 0.1
    return _Scale(min(values) - margin, max(values) + margin, at_low, at_high)


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two logarithms: 1, 2, 5 times a power of ten, more or fewer where that needs it."""
    found = [m * 10.0**e for e in range(floor(low), ceil(high) + 1) for m in (1, 2, 5) if low <= log10(m) + e <= high]
    if len(found) < 2:
        found = [
            m * 10.0**e for e in range(floor(low), ceil(high) + 1) for m in range(1, 10) if low <= log10(m) + e <= high
        ]
    return found if len(found) <= 7 else [v for v in found if f"{v:e}"[0] == "1"]


def _tick(at: float, words: str, *, upright: bool) -> Markup:
    if upright:
        line = Markup('<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="14" y2="250"/>').format(at)
        return line + Markup('<text x="{:.1f}" y="268" text-anchor="middle">{}</text>').format(at, words)
    line = Markup('<line class="grid" x1="46" x2="590" y1="{0:.1f}" y2="{0:.1f}"/>').format(at)
    return line + Markup('<text x="40" y="{:.1f}" text-anchor="end">{}</text>').format(at + 4, words)
