"""The twin of a LayerNorm whose statistics run over the kept channels only."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def masked_layer_norm(config: dict[str, Any], keep: NDArray[np.bool_]) -> Any:
    """
    Return a LayerNormalization that ignores the channels not in `keep`, shape ``(n_channels,)``.

    Mean and variance over the kept channels; the others come out as they may: nobody reads them.
    """
    import tensorflow as tf
    import tf_keras

    mask = keep.astype(np.float32)
    share = float(mask.mean())

    class MaskedLayerNormalization(tf_keras.layers.LayerNormalization):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            mean = tf.reduce_mean(inputs * mask, -1, keepdims=True) / share
            variance = tf.reduce_mean(tf.square((inputs - mean) * mask), -1, keepdims=True) / share
            normal = (inputs - mean) * tf.math.rsqrt(variance + self.epsilon)
            normal = normal * self.gamma if self.gamma is not None else normal
            return normal + self.beta if self.beta is not None else normal

    return MaskedLayerNormalization.from_config(config)
