"""
A stated model of what a file costs on a watch: MACs, bytes moved, cycles, energy.

It is arithmetic on the graph, not a measurement: good for ratios between two files on the same core, good to about a
factor of two in absolute terms. Cycles of an operator are ``max(MACs x cycles per MAC, bytes moved / bytes per
cycle) + overhead``: a core computes and loads at the same time, and each operator pays for its dispatch.

The constants and where they come from:

* Cortex-M4F, int8: `SMLAD` does two 16-bit MACs a cycle, but int8 operands must be widened and loaded first. CMSIS-NN
  [1]_ reports 24.7 MOp (12.3 M MACs) in 99.1 ms at 216 MHz on a Cortex-M7, 1.7 cycles a MAC; a Cortex-M4 issues one
  instruction a cycle instead of two, hence 3.
* Cortex-M4F, float32: one `VFMA` and about two loads a MAC, without vectors, hence 5; reference kernels are slower.
* Cortex-M55 with Helium: eight int8 MACs a cycle at the peak of the dual-beat vector unit [2]_, a third of it
  sustained, hence 0.4; float32 two a cycle at the peak, hence 1.2.
* LSTM kernels of tflite-micro are plain C around the matrix product, with tanh and sigmoid an element: factor 2.
* Energy of an active Cortex-M4F: 52 uA/MHz at 3 V (nRF52840 product specification, CoreMark from flash), 156 pJ a
  cycle. Cortex-M55 parts of 22 nm: an assumption of 40 pJ a cycle.

References
----------
.. [1] Lai, Suda, Chandra. CMSIS-NN: Efficient Neural Network Kernels for Arm Cortex-M CPUs. arXiv:1801.06601.
.. [2] Arm Cortex-M55 Processor Technical Reference Manual: the M-profile vector extension.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from models.export import flatbuffer


@dataclass(frozen=True)
class Core:
    """A processor of the model: cycles a MAC by type, bytes moved a cycle, cycles an operator, picojoules a cycle."""

    name: str
    clock_mhz: float
    cycles_per_mac_int8: float
    cycles_per_mac_float: float
    bytes_per_cycle: float
    cycles_per_operator: float
    picojoule_per_cycle: float


CORTEX_M4F = Core("Cortex-M4F at 64 MHz", 64.0, 3.0, 5.0, 2.0, 1500.0, 156.0)
CORTEX_M55 = Core("Cortex-M55 at 160 MHz", 160.0, 0.4, 1.2, 4.0, 1500.0, 40.0)
CORES = {"cortex-m4f": CORTEX_M4F, "cortex-m55": CORTEX_M55}


@dataclass(frozen=True)
class OperatorCost:
    """One operator: multiply-accumulates, bytes of constants read, bytes of activations read and written."""

    name: str
    macs: int
    weight_bytes: int
    activation_bytes: int
    int8: bool


@dataclass(frozen=True)
class Cost:
    """A whole inference on one core."""

    core: str
    macs: int
    bytes_moved: int
    cycles: float
    latency_us: float
    energy_uj: float

    def energy_per_day_mj(self, inferences_per_day: float) -> float:
        """Return millijoules a day."""
        return self.energy_uj * inferences_per_day / 1e3


def _size(tensor: Any) -> int:
    return int(np.prod(tensor.shape)) if tensor.shape is not None and len(tensor.shape) else 1


def _bytes(tensor: Any) -> int:
    dtype = flatbuffer.DTYPES.get(tensor.type)
    return _size(tensor) * (np.dtype(dtype).itemsize if dtype is not None else 4)


def _macs(name: str, inputs: list[Any], outputs: list[Any]) -> int:
    """Return the MACs of an operator; an element-wise one counts one for each element of its output."""
    if name in ("CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"):
        weights = inputs[1]
        if name == "TRANSPOSE_CONV":  # inputs: output shape, weights, activations
            return _size(inputs[2]) // int(inputs[2].shape[-1]) * _size(weights)
        rows = _size(outputs[0]) // int(weights.shape[0])
        return rows * _size(weights)
    if name == "DEPTHWISE_CONV_2D":
        kernel = inputs[1].shape
        return _size(outputs[0]) * int(kernel[1]) * int(kernel[2])
    if name == "UNIDIRECTIONAL_SEQUENCE_LSTM":
        steps = int(inputs[0].shape[1])
        return steps * sum(_size(tensor) for tensor in inputs[1:9] if tensor is not None)
    if name == "BATCH_MATMUL":
        return _size(outputs[0]) * int(inputs[0].shape[-1])
    if name in ("RESHAPE", "DEQUANTIZE", "QUANTIZE", "EXPAND_DIMS", "SQUEEZE", "SHAPE"):
        return 0
    return sum(_size(tensor) for tensor in outputs)


def operator_costs(tflite: bytes | flatbuffer.Model) -> tuple[OperatorCost, ...]:
    """Return the cost of every operator of a file, in order."""
    model = flatbuffer.read(tflite) if isinstance(tflite, bytes) else tflite
    costs = []
    for graph, operator, name in flatbuffer.operators(model):
        places = [int(i) for i in operator.inputs] if operator.inputs is not None else []
        inputs = [graph.tensors[i] if i >= 0 else None for i in places]
        outputs = [graph.tensors[i] for i in operator.outputs]
        there = [tensor for tensor in inputs if tensor is not None]
        constant = [tensor for tensor in there if flatbuffer.array(model, tensor) is not None]
        moving = [tensor for tensor in there if flatbuffer.array(model, tensor) is None and not tensor.isVariable]
        weights = sum(_bytes(tensor) for tensor in constant)
        if name == "UNIDIRECTIONAL_SEQUENCE_LSTM":  # the kernels are read again at every step
            weights *= int(inputs[0].shape[1]) if inputs[0] is not None else 1
        costs.append(
            OperatorCost(
                name,
                _macs(name, inputs, outputs),
                weights,
                sum(_bytes(tensor) for tensor in moving + outputs),
                flatbuffer.DTYPES.get(outputs[0].type) is np.int8,
            )
        )
    return tuple(costs)


def cost(tflite: bytes, core: Core = CORTEX_M4F) -> Cost:
    """
    Return the predicted cost of one inference on a core; see the module for what it stands on.

    Parameters
    ----------
    tflite : bytes
    core : Core
        `CORTEX_M4F`, `CORTEX_M55` or one of your own, with constants you measured.
    """
    cycles = 0.0
    parts = operator_costs(tflite)
    for part in parts:
        per_mac = core.cycles_per_mac_int8 if part.int8 else core.cycles_per_mac_float
        if part.name == "UNIDIRECTIONAL_SEQUENCE_LSTM":
            per_mac *= 2.0
        moved = part.weight_bytes + part.activation_bytes
        cycles += max(part.macs * per_mac, moved / core.bytes_per_cycle) + core.cycles_per_operator
    return Cost(
        core.name,
        sum(part.macs for part in parts),
        sum(part.weight_bytes + part.activation_bytes for part in parts),
        cycles,
        cycles / core.clock_mhz,
        cycles * core.picojoule_per_cycle / 1e6,
    )
