"""
Binary weights by BinaryConnect: two values a kernel, one bit a weight in the container.

While training, a batch runs forward and backward with ``sign(w) * a``; its gradient moves the real-valued ``w``, which
is kept beside and clipped to ``[-a, a]`` [1]_. The value ``a`` of a kernel is the mean of its absolute weights at the
start, so that the layer keeps its gain. Train with an optimizer whose step does not depend on the weight (SGD, Adam;
no weight decay).

References
----------
.. [1] Courbariaux, Bengio, David. BinaryConnect: training deep neural networks with binary weights during
   propagations. NeurIPS 2015, arXiv:1511.00363.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.compress.clustering import ClusteringError, kernels


class _Kernel:
    """One kernel with its real-valued weights kept beside the binary ones."""

    def __init__(self, variable: Any) -> None:
        self.variable = variable
        self.real: NDArray[np.float32] = variable.numpy()
        self.gain = np.float32(max(float(np.abs(self.real).mean()), 1e-8))
        self.binary = self.real

    def show_binary(self) -> None:
        """Let the model compute with ``sign(w) * a``; zero counts as positive."""
        self.binary = np.where(self.real < 0, -self.gain, self.gain).astype(np.float32)
        self.variable.assign(self.binary)

    def take_step(self) -> None:
        """Add to the real weights what the optimizer did to the binary ones."""
        self.real = np.clip(self.real + self.variable.numpy() - self.binary, -self.gain, self.gain)


def binary_connect(model: Any, layers: Sequence[str]) -> Any:
    """
    Return a callback for `fit` under which the kernels of `layers` become binary; they stay so when `fit` ends.

    Parameters
    ----------
    model : tf_keras.Model
        The model that `fit` will train; pass a copy (`clustering.copy_model`) to keep yours.
    layers : sequence of str
        Which layers: all but the first and the last is usual, those two hurt most and save least.

    Raises
    ------
    ClusteringError
        If a layer is not there or has no kernel.

    Examples
    --------
    >>> net.fit(x, y, callbacks=[binary_connect(net, ["conv_1", "conv_2"])])  # doctest: +SKIP
    """
    from tf_keras.callbacks import Callback

    known = {layer.name: layer for layer in model.layers}
    chosen = []
    for name in layers:
        if name not in known or not kernels(known[name]):
            raise ClusteringError(
                f"layer {name!r} has no kernel to make binary; layers with one are "
                f"{[layer.name for layer in model.layers if kernels(layer)]}"
            )
        chosen += kernels(known[name])

    class BinaryConnect(Callback):  # type: ignore[misc]
        """Swap binary weights in before a batch and move the real ones after it."""

        def __init__(self) -> None:
            super().__init__()
            self.kept: list[_Kernel] = []

        def on_train_batch_begin(self, _batch: int, _logs: Any = None) -> None:
            # Not when training begins: a recipe may call `fit` once an epoch, and the real weights must outlive it.
            self.kept = self.kept or [_Kernel(variable) for variable in chosen]
            for kernel in self.kept:
                kernel.show_binary()

        def on_train_batch_end(self, _batch: int, _logs: Any = None) -> None:
            for kernel in self.kept:
                kernel.take_step()

        def on_epoch_end(self, _epoch: int, _logs: Any = None) -> None:
            for kernel in self.kept:
                kernel.show_binary()

        def on_test_begin(self, _logs: Any = None) -> None:
            for kernel in self.kept:
                kernel.show_binary()

        def on_train_end(self, _logs: Any = None) -> None:
            for kernel in self.kept:
                kernel.show_binary()

    return BinaryConnect()
