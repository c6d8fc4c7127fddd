"""What can go wrong between a watch and its server, by seed or by script, and the same again on replay.

Each decision is a function of the seed and of the number of the upload (or of the device time), not of what
happened before, so a run can be cut to the faults that matter and played again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import MissingExtraError, WristwiseError
from services.watch.link import Answer, LinkDown, Request, Transport

# On the way of an upload; each is a rate in [0, 1], or a line of the script with `at`.
UPLOAD_FAULTS = {
    "drop_request": "lost on the way there",
    "drop_reply": "arrives; its answer is lost",
    "duplicate": "arrives twice",
    "reorder": "arrives after the next one",
    "delay": "arrives after the third next one",
    "429": "answered 429 with Retry-After by something in between",
    "503": "answered 503 by something in between",
    "truncate": "arrives cut in half",
    "expire_token": "carries a token that is no longer good",
    "kill": "the watch loses power in the middle of sending, and starts again from its outbox",
}
# In the device itself; a line of the script with `at_s`.
DEVICE_FAULTS = {
    "offline": "no network for `for_s` device seconds",
    "reboot": "the watch restarts: a new boot, a monotonic clock from zero, samples lost for `for_s`",
    "clock_jump": "the wall clock moves by `by_s`",
    "travel": "the time zone becomes `utc_offset_s`",
}
_HELD_FOR = {"reorder": 1, "delay": 3}


class FaultError(WristwiseError, ValueError):
    """A fault script cannot be understood."""


class PowerLost(WristwiseError, RuntimeError):
    """The watch was killed; what it had not yet written is gone."""


@dataclass(frozen=True)
class Fault:
    """One fault: `at` is the number of an upload, `at_s` a device time; `value` is its size, where it has one."""

    name: str
    at: int | None = None
    at_s: float | None = None
    value: float = 0.0

    def line(self) -> dict[str, Any]:
        """Return the line of a script that makes this fault."""
        where = {"at": self.at} if self.at is not None else {"at_s": self.at_s}
        size = {_SIZES[self.name]: self.value} if self.name in _SIZES else {}
        return {"fault": self.name, **where, **size}


_SIZES = {"offline": "for_s", "reboot": "for_s", "clock_jump": "by_s", "travel": "utc_offset_s"}


@dataclass(frozen=True)
class FaultPlan:
    """
    Which faults happen when.

    Attributes
    ----------
    seed : int
    rates : mapping of str to float
        Probability of each upload fault for each upload; ``drop`` stands for half ``drop_request``, half
        ``drop_reply``.
    script : tuple of Fault
        Faults at stated moments.
    """

    seed: int = 0
    rates: Mapping[str, float] = field(default_factory=dict)
    script: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        for name, rate in self.rates.items():
            if name not in UPLOAD_FAULTS and name != "drop":
                raise FaultError(f"unknown fault {name!r}; possible rates: drop, {', '.join(UPLOAD_FAULTS)}")
            if not 0.0 <= rate <= 1.0:
                raise FaultError(f"the rate of {name!r} must be a probability from 0 to 1. Got {rate!r} instead.")
        for fault in self.script:
            _check(fault)

    @classmethod
    def read(cls, path: Path) -> FaultPlan:
        """Read a plan from a JSON or YAML file: ``{seed, rates: {name: p}, script: [{fault, at | at_s, …}]}``.

        Raises
        ------
        FaultError
            If the file is not such a plan; the sentence names the line that is wrong.
        """
        body = _load(path)
        if not isinstance(body, dict) or not set(body) <= {"seed", "rates", "script"}:
            raise FaultError(f"{path} must hold seed, rates and script, each optional, and nothing else")
        script = tuple(_fault(line) for line in body.get("script") or ())
        rates = {str(k): float(v) for k, v in (body.get("rates") or {}).items()}
        return cls(int(body.get("seed") or 0), rates, script)

    def body(self) -> dict[str, Any]:
        """Return the plan as `read` reads it."""
        return {"seed": self.seed, "rates": dict(self.rates), "script": [f.line() for f in self.script]}

    def for_upload(self, number: int) -> tuple[str, ...]:
        """Return the faults of upload `number` (from 0), in the order of `UPLOAD_FAULTS`."""
        # A generator per upload: the decision does not depend on how many came before.
        rng = np.random.default_rng((self.seed, number))
        drawn = dict(zip(("drop", *UPLOAD_FAULTS), rng.random(len(UPLOAD_FAULTS) + 1), strict=True))
        hit = {name for name, rate in self.rates.items() if drawn[name] < rate}
        if "drop" in hit:
            hit.add("drop_request" if rng.random() < 0.5 else "drop_reply")
        hit |= {f.name for f in self.script if f.at == number}
        return tuple(name for name in UPLOAD_FAULTS if name in hit)

    def between(self, start_s: float, end_s: float) -> tuple[Fault, ...]:
        """Return the device faults with start_s <= at_s < end_s, in order of time; offline spans excepted."""
        due = [f for f in self.script if f.at_s is not None and start_s <= f.at_s < end_s and f.name != "offline"]
        return tuple(sorted(due, key=lambda f: f.at_s or 0.0))

    def offline_until(self, device_s: float) -> float | None:
        """Return the device time at which the network comes back, or None when it is there."""
        ends = [
            f.at_s + f.value
            for f in self.script
            if f.name == "offline" and f.at_s is not None and f.at_s <= device_s < f.at_s + f.value
        ]
        return max(ends, default=None)

    def with_offline(self, seconds: float, duration_s: float) -> FaultPlan:
        """Return the plan with the network away for `seconds`, at a place that the seed decides."""
        rng = np.random.default_rng((self.seed, 2**31))
        at_s = float(rng.uniform(0.2, 0.6)) * max(0.0, duration_s - seconds)
        return replace(self, script=(*self.script, Fault("offline", at_s=round(at_s, 3), value=seconds)))


class FaultyTransport:
    """
    A transport that does to uploads what the plan says.

    Parameters
    ----------
    inner : Transport
    plan : FaultPlan
    device_s : callable
        Returns the present device time, for offline spans.
    """

    def __init__(self, inner: Transport, plan: FaultPlan, device_s: Callable[[], float]) -> None:
        self._inner, self._plan, self._device_s = inner, plan, device_s
        self._held: list[tuple[int, Request]] = []
        self.uploads = 0
        self.happened: list[Fault] = []

    def send(self, request: Request) -> Answer:
        """Send, or fail, as planned; only uploads of batches meet faults, but without a network nothing passes."""
        if self._plan.offline_until(self._device_s()) is not None:
            raise LinkDown("the watch has no network now (offline); it keeps its chunks and tries later")
        if not request.path.endswith("/v1/batches"):
            return self._inner.send(request)
        number, self.uploads = self.uploads, self.uploads + 1
        names = self._plan.for_upload(number)
        self.happened.extend(Fault(name, at=number) for name in names)
        try:
            return self._suffer(request, names, number)
        finally:
            self._deliver_held(number)

    def flush(self) -> None:
        """Deliver what is still held on the way; the answers are lost."""
        self._deliver_held(None)

    def break_off(self, request: Request) -> None:
        """Break off, as the transport underneath does."""
        self._inner.break_off(request)

    def close(self) -> None:
        """Close the transport underneath."""
        self._inner.close()

    def _suffer(self, request: Request, names: tuple[str, ...], number: int) -> Answer:
        for name in names:
            if name == "drop_request":
                raise LinkDown("the request was lost on the way; it will be sent again")
            if name in _HELD_FOR:
                self._held.append((number + _HELD_FOR[name], request))
                raise LinkDown("no answer in time; it will be sent again")
            if name in ("429", "503"):
                headers = {"content-type": "application/problem+json", "retry-after": "0"}
                return Answer(int(name), headers, b'{"type":"injected","detail":"the fault script says so"}')
            if name == "truncate":
                return self._inner.send(replace(request, body=request.body[: len(request.body) // 2]))
            if name == "expire_token":
                bad = {**request.headers, "Authorization": "Bearer expired"}
                return self._inner.send(replace(request, headers=bad))
            if name == "kill":
                self._quietly(request, self._inner.break_off)
                raise PowerLost("the watch lost power in the middle of an upload; open it again from its state")
        if "duplicate" in names:
            self._inner.send(request)
        answer = self._inner.send(request)
        if "drop_reply" in names:
            raise LinkDown("the answer was lost on the way; the request will be sent again")
        return answer

    def _deliver_held(self, number: int | None) -> None:
        due = [r for at, r in self._held if number is None or at <= number]
        self._held = [(at, r) for at, r in self._held if number is not None and at > number]
        for request in due:
            self._quietly(request)

    def _quietly(self, request: Request, way: Callable[[Request], object] | None = None) -> None:
        """Send without minding the answer: nobody is waiting for it any more."""
        try:
            (way or self._inner.send)(request)
        except LinkDown:
            return


def _load(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise FaultError(f"no fault script at {path}: {error.strerror}; name a JSON or YAML file") from error
    try:
        if path.suffix in (".yaml", ".yml"):
            return _yaml(text)
        return json.loads(text)
    except ValueError as error:
        raise FaultError(f"{path} cannot be read as {path.suffix or 'JSON'}: {error}") from error


def _yaml(text: str) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError("a YAML script needs PyYAML: pip install 'wristwise[watch]', or use JSON") from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _fault(line: Any) -> Fault:
    if not isinstance(line, dict) or "fault" not in line:
        raise FaultError(f"a line of a script must be {{fault: NAME, at: N or at_s: SECONDS}}. Got {line!r} instead.")
    name = str(line["fault"])
    size = _SIZES.get(name)
    known = {"fault", "at", "at_s", *([size] if size else [])}
    if not set(line) <= known:
        raise FaultError(f"fault {name!r} takes {', '.join(sorted(known))}. Got {', '.join(sorted(line))} instead.")
    at, at_s = line.get("at"), line.get("at_s")
    return Fault(
        name,
        None if at is None else int(at),
        None if at_s is None else float(at_s),
        float(line.get(size, 0.0)) if size else 0.0,
    )


def _check(fault: Fault) -> None:
    if fault.name in UPLOAD_FAULTS and fault.at is not None and fault.at_s is None:
        return
    if fault.name in DEVICE_FAULTS and fault.at_s is not None and fault.at is None:
        return
    if fault.name in UPLOAD_FAULTS or fault.name in DEVICE_FAULTS:
        wanted = "at (the number of an upload)" if fault.name in UPLOAD_FAULTS else "at_s (device seconds)"
        raise FaultError(f"fault {fault.name!r} needs {wanted}, and only that; correct its line in the script")
    raise FaultError(f"unknown fault {fault.name!r}; possible: {', '.join([*UPLOAD_FAULTS, *DEVICE_FAULTS])}")
