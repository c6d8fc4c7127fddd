"""The same night or day inferred on the watch and on the server: what each said of each span, and why they differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.watch.report import WatchReport

# Both sides place a span by the same boot clock; the server's wall times are rounded to a millisecond on the way.
SAME_SPAN_S = 0.25

# Why the same model on the same samples may still differ, by what ran it on the wrist.
ROUNDING = {
    "exact": "the same kernels ran on another processor, which sums in another order",
    "micro": "LiteRT's kernels round int8 one step otherwise than tflite-micro's in one value of a thousand, and the "
    "decoder, which has a memory, carries that on",
    "litert": "XNNPACK scales int8 sums in floating point, the server's and the watch's kernels in fixed point: some "
    "values of a hundred lie one step apart, and the decoder, which has a memory, carries that on",
}
# Kinds that the server judges once a night is whole, and a wrist as it goes.
HINDSIGHT = {
    "sleep_stage": "the wrist judges each epoch from what was before it, the server from both ends of the whole night"
}

Value = float | str
Span = tuple[float, float]


@dataclass(frozen=True)
class Agreement:
    """
    How one kind of estimate compares.

    Attributes
    ----------
    kind : str
    both, only_watch, only_server : int
        Spans of which both, or only one, said something.
    equal : int
        Of `both`: the same number (to 1e-3) or the same word.
    largest, mean : float or None
        Difference between numbers, in the kind's unit; None for words.
    reasons : tuple of str
        Why they differ, as far as the two sides' own words show it; empty where they do not.
    """

    kind: str
    both: int
    only_watch: int
    only_server: int
    equal: int
    largest: float | None
    mean: float | None
    reasons: tuple[str, ...] = ()

    @property
    def identical(self) -> bool:
        """Whether both sides said the same of the same spans."""
        return self.both == self.equal and not self.only_watch and not self.only_server


def compare(report: WatchReport, records: Iterable[Mapping[str, Any]]) -> list[Agreement]:
    """
    Compare what a watch inferred with the server's records of the same device.

    Parameters
    ----------
    report : WatchReport
        Of a run with ``infer=True``.
    records : iterable of mapping
        The server's records, as `Companion.records` returns them; those that a client wrote are left out.

    Returns
    -------
    list of Agreement
        One a kind, in alphabetical order.
    """
    began = datetime.fromisoformat(report.start)
    served = [r for r in records if r["source"]["device_id"] == report.device_id and r["source"]["task"]]
    derived = [r for r in served if r["client_record_id"] is None]
    found = []
    for kind in sorted({e.estimate.kind for e in report.estimates}):
        wrist = _wrist(report, kind)
        server = {
            (_seconds(r["start"], began), _seconds(r["end"], began)): r["value"] for r in derived if r["kind"] == kind
        }
        versions = {str(r["source"]["model_version"]) for r in derived if r["kind"] == kind}
        found.append(_agreement(kind, report, wrist, server, versions))
    return found


def sentence(agreement: Agreement) -> str:
    """Return an agreement as one line."""
    if agreement.identical:
        return f"{agreement.kind}: watch and server say the same of all {agreement.both} spans"
    said = f"{agreement.kind}: of {agreement.both} spans {agreement.equal} are the same"
    if agreement.largest is not None:
        said += f", the largest difference is {agreement.largest:.3f}"
    said += f"; only the watch: {agreement.only_watch}, only the server: {agreement.only_server}"
    return said + "".join(f"; {reason}" for reason in agreement.reasons)


def _wrist(report: WatchReport, kind: str) -> dict[Span, Value]:
    spans: dict[Span, Value] = {}
    for item in report.estimates:
        estimate = item.estimate
        if estimate.kind != kind or estimate.value is None:
            continue
        boot_s = report.boots[item.boot_id]
        # Two estimates of one span: the later decision stands, as it does on the server.
        spans[boot_s + estimate.start_s, boot_s + estimate.end_s] = estimate.value
    return spans


def _agreement(
    kind: str, report: WatchReport, wrist: Mapping[Span, Value], server: Mapping[Span, Value], versions: set[str]
) -> Agreement:
    pairs, alone = _match(wrist, server)
    only_server = len(server) - len(pairs)
    numbers = [abs(a - b) for a, b in pairs if isinstance(a, (int, float)) and isinstance(b, (int, float))]
    equal = sum(a == b or (isinstance(a, float) and isinstance(b, float) and abs(a - b) <= 1e-3) for a, b in pairs)
    own = {e.model_version for e in report.estimates if e.estimate.kind == kind}
    reasons = []
    if versions and own != versions:
        reasons.append(f"the watch ran model {', '.join(sorted(own))}, the server {', '.join(sorted(versions))}")
    if alone or only_server:
        reasons.append(_one_sided(report, alone, only_server))
    if kind in HINDSIGHT and equal < len(pairs):
        reasons.append(HINDSIGHT[kind])
    if numbers and max(numbers) > 1e-3 and own == versions:
        reasons.append(ROUNDING[report.runtime])
    return Agreement(
        kind, len(pairs), len(alone), only_server, equal,
        max(numbers) if numbers else None,
        sum(numbers) / len(numbers) if numbers else None, tuple(reasons),
    )  # fmt: skip


def _match(wrist: Mapping[Span, Value], server: Mapping[Span, Value]) -> tuple[list[tuple[Value, Value]], list[Span]]:
    """Pair spans whose starts and ends agree; return the pairs of values, and the wrist's spans without a partner."""
    by_start: dict[int, list[tuple[Span, Value]]] = {}
    for span, value in server.items():
        by_start.setdefault(round(span[0]), []).append((span, value))
    pairs, alone, taken = [], [], set()
    for span, value in wrist.items():
        near = [item for k in (-1, 0, 1) for item in by_start.get(round(span[0]) + k, ())]
        fits = [item for item in near if item[0] not in taken and _same(item[0], span)]
        if fits:
            taken.add(fits[0][0])
            pairs.append((value, fits[0][1]))
        else:
            alone.append(span)
    return pairs, alone


def _same(a: Span, b: Span) -> bool:
    return abs(a[0] - b[0]) <= SAME_SPAN_S and abs(a[1] - b[1]) <= SAME_SPAN_S


def _one_sided(report: WatchReport, alone: Sequence[Span], only_server: int) -> str:
    if report.faults and any(f.name in ("reboot", "kill") for f in report.faults):
        return "a restart: the watch's decoder lost its state, and what it had sensed but not yet kept"
    if alone and not only_server:
        return "the server has not processed everything yet, or left out a stretch that it could not place in time"
    return "a window at the border of a stretch, or a decision that only one side had enough signal for"


def _seconds(moment: str, began: datetime) -> float:
    return (datetime.fromisoformat(moment) - began).total_seconds()
