"""
The gate: a file leaves only if every runtime loads it and all of them say what the model says.

It loads the file in LiteRT (optimised and reference kernels), in tf.lite and in tflite-micro, compares their answers
with one another and with the tf_keras model, proves that resetting the state forgets the last wearer, and finds and
cures the two silent faults of int8 LSTM (`models.export.faults`).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import WristwiseError
from models.bundle import TensorSpec
from models.export import flatbuffer
from models.export.convert import Samples, as_rows
from models.export.faults import Fault, find_faults, repair
from models.export.interpreters import Interpreter, LoadError, available, load, run_rows
from models.export.spec import tensor_specs

Arrays = list[NDArray[np.float32]]


class GateError(WristwiseError, ValueError):
    """A file is refused: some runtime would answer wrongly or not at all."""


@dataclass(frozen=True)
class Limits:
    """
    How far answers may lie apart.

    Parameters
    ----------
    float_difference : float
        Between runtimes, float outputs: largest difference as a share of the output's range.
    int8_steps : int
        Between runtimes, int8 outputs: largest difference in steps of the output's scale. The kernels themselves
        differ by one step an operator (rounding), so deep networks need more than one.
    float_model_difference, float16_model_difference, int8_model_difference : float
        From the tf_keras model, by what the weights are: RMS difference as a share of the output's range; of an int8
        output one step is free, which no file can avoid. The known faults give 0.04 and more where a sound int8 file
        gives 0.0035 with 100 representative rows.
    """

    float_difference: float = 1e-4
    int8_steps: int = 3
    float_model_difference: float = 1e-3
    float16_model_difference: float = 0.01
    int8_model_difference: float = 0.05


@dataclass(frozen=True)
class RuntimeResult:
    """
    What one runtime did with the file.

    `difference` is the largest distance from the first runtime as a share of the output's range, `steps` the same
    in steps of an int8 output's scale (0 for float), `model_difference` the RMS distance from the tf_keras model
    as a share of the range (NaN without a model), `leaks` whether state passes from row to row without a reset,
    `resets` whether a reset makes an answer repeatable to the bit.
    """

    runtime: str
    loaded: bool
    problem: str = ""
    difference: float = float("nan")
    steps: int = 0
    model_difference: float = float("nan")
    leaks: bool = False
    resets: bool = True


@dataclass(frozen=True)
class GateReport:
    """
    The verdict: `tflite` is the file to ship (cured if it was ill), `refusals` the reasons not to.

    Parameters
    ----------
    tflite : bytes
    runtimes : tuple of RuntimeResult
    faults : tuple of Fault
        Faults found in the file as it came, cured in `tflite` unless repair was off.
    refusals : tuple of str
        Empty if the file may leave.
    rows : int
        Rows of input that were compared.
    """

    tflite: bytes
    runtimes: tuple[RuntimeResult, ...]
    faults: tuple[Fault, ...]
    refusals: tuple[str, ...]
    rows: int

    @property
    def ok(self) -> bool:
        """Whether the file may leave."""
        return not self.refusals

    def raise_if_refused(self) -> None:
        """Raise `GateError` with every reason in one sentence."""
        if self.refusals:
            raise GateError("the gate refuses this file: " + "; ".join(self.refusals))

    def entry(self) -> dict[str, Any]:
        """Return the report for JSON, without the bytes; NaN becomes None."""
        entry = asdict(replace(self, tflite=b""))
        del entry["tflite"]
        for result in entry["runtimes"]:
            for key, value in result.items():
                if isinstance(value, float) and np.isnan(value):
                    result[key] = None
        return entry | {"ok": self.ok, "faults": [str(fault) for fault in self.faults]}


def run_gate(
    tflite: bytes,
    model: Any = None,
    samples: Samples | None = None,
    *,
    runtimes: Sequence[str] | None = None,
    limits: Limits | None = None,
    cure: bool = True,
) -> GateReport:
    """
    Try a file in every runtime and report whether it may leave.

    Parameters
    ----------
    tflite : bytes
    model : tf_keras.Model or None
        What the file should say; without it the runtimes are only compared with one another.
    samples : array, sequence or mapping of arrays (n_rows, ...)
        Real input, 8 to 64 rows; without it 8 rows of noise inside the range that the file's inputs can hold.
    runtimes : sequence of str or None
        Which must take the file, of `interpreters.RUNTIMES`; None means all that are installed. A float16 file is
        for servers and phones only: pass ``("litert", "tf.lite")``.
    cure : bool
        Repair known faults; if False they are reasons to refuse.

    Raises
    ------
    TFLiteFileError
        If the bytes are not a `.tflite` file.

    Examples
    --------
    >>> report = run_gate(tflite, net, samples)  # doctest: +SKIP
    >>> report.raise_if_refused()  # doctest: +SKIP
    """
    limits = limits or Limits()
    faults: Sequence[Fault] = find_faults(tflite)
    if faults and cure:
        tflite, _ = repair(tflite)
    inputs, _ = tensor_specs(tflite)
    rows = _rows(inputs, samples)
    expected = None if model is None else _keras(model, rows, samples)
    results = _try_all(tflite, tuple(runtimes or available()), rows, expected)
    refusals = [] if cure else [str(fault) for fault in faults]
    for result in results:
        refusals += _judge(result, limits, _weights(tflite))
    return GateReport(tflite, tuple(results), tuple(faults), tuple(refusals), len(rows[0]))


def _rows(inputs: Sequence[TensorSpec], samples: Samples | None) -> list[NDArray[Any]]:
    """Return the rows to compare: the caller's, or noise over most of each input's range."""
    if samples is not None:
        return as_rows(samples, [spec.name for spec in inputs])
    rng = np.random.default_rng(0)
    rows = []
    for spec in inputs:
        noise = rng.normal(size=(8, *spec.shape[1:]))
        if spec.dtype == "int8":  # three deviations reach the ends of what int8 holds
            noise = (noise * 42 - spec.zero_point) * spec.scale
        rows.append(noise.astype(np.float32))
    return rows


def _keras(model: Any, rows: list[NDArray[Any]], samples: Samples | None) -> Arrays:
    """Return what the model says, by its own order of inputs if the samples were named."""
    import tensorflow as tf

    if samples is not None:
        rows = as_rows(samples, model.input_names)
    rows = [array.astype(tensor.dtype.as_numpy_dtype) for array, tensor in zip(rows, model.inputs, strict=True)]
    answer = model(rows if len(rows) > 1 else rows[0], training=False)
    return [np.asarray(one, np.float32) for one in tf.nest.flatten(answer)]


def _try_all(
    tflite: bytes, runtimes: Sequence[str], rows: list[NDArray[Any]], expected: Arrays | None
) -> list[RuntimeResult]:
    results: list[RuntimeResult] = []
    first: Arrays | None = None
    for name in runtimes:
        try:
            interpreter = load(tflite, name)
            answers = run_rows(interpreter, rows)
        except (LoadError, RuntimeError, ValueError) as error:
            results.append(RuntimeResult(name, loaded=False, problem=str(error)))
            continue
        first = answers if first is None else first
        results.append(_measure(name, interpreter, rows, answers, first, expected))
    return results


def _measure(
    name: str,
    interpreter: Interpreter,
    rows: list[NDArray[Any]],
    answers: Arrays,
    first: Arrays,
    expected: Arrays | None,
) -> RuntimeResult:
    """Compare one runtime's answers with the first runtime's and the model's, and try its reset."""
    if not all(np.isfinite(answer).all() for answer in answers):
        return RuntimeResult(name, loaded=True, problem=f"{name} answers with NaN or infinity")
    again = run_rows(interpreter, rows)
    resets = all(np.array_equal(a, b) for a, b in zip(answers, again, strict=True))
    # Not reset since the last row, so the first row meets what the last one left behind.
    unreset = run_rows(interpreter, [array[:1] for array in rows], reset=False)
    leaks = any(not np.array_equal(one[0], answer[0]) for one, answer in zip(unreset, answers, strict=True))
    ranges = [max(float(np.ptp(answer)), 1e-6) for answer in (expected or first)]
    apart = [float(np.abs(a - b).max()) for a, b in zip(answers, first, strict=True)]
    scales = [spec.scale if spec.dtype == "int8" else 0.0 for spec in interpreter.outputs]
    steps = [round(d / scale) for d, scale in zip(apart, scales, strict=True) if scale]
    off = float("nan")
    if expected is not None:
        pairs = zip(answers, expected, scales, ranges, strict=True)
        off = max(max(0.0, _rms(a - b.reshape(a.shape)) - scale) / r for a, b, scale, r in pairs)
    return RuntimeResult(
        name,
        loaded=True,
        difference=max(d / r for d, r in zip(apart, ranges, strict=True)),
        steps=max(steps, default=0),
        model_difference=off,
        leaks=leaks,
        resets=resets,
    )


def _rms(difference: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(difference**2)))


def _weights(tflite: bytes) -> str:
    """Return what the weights are, whatever goes in and out: ``int8``, ``float16`` or ``float32``."""
    model = flatbuffer.read(tflite)
    kinds = {flatbuffer.DTYPES.get(tensor.type) for graph in model.subgraphs for tensor in graph.tensors}
    return "int8" if np.int8 in kinds else "float16" if np.float16 in kinds else "float32"


def _judge(result: RuntimeResult, limits: Limits, weights: str) -> list[str]:
    """Return the reasons to refuse that one runtime gives."""
    if result.problem:
        return [result.problem]
    reasons = []
    if not result.resets:
        reasons.append(
            f"{result.runtime} still answers differently after its state was reset, so one wearer would reach the "
            "next; build the recurrent layers with stateful=False"
        )
    quantized = weights == "int8"
    allowed = {
        "int8": limits.int8_model_difference,
        "float16": limits.float16_model_difference,
        "float32": limits.float_model_difference,
    }[weights]
    if result.model_difference > allowed:
        reasons.append(
            f"{result.runtime} differs from the model by {result.model_difference:.3g} of the output's range, allowed "
            f"is {allowed:.3g}; give more representative rows (100) or leave this model in float32"
        )
    apart = result.steps > limits.int8_steps or (not quantized and result.difference > limits.float_difference)
    if apart or (quantized and result.steps == 0 and result.difference > limits.int8_model_difference):
        by = f"{result.steps} steps of int8" if result.steps else f"{result.difference:.3g} of the output's range"
        reasons.append(f"{result.runtime} differs from the first runtime by {by}")
    return reasons
