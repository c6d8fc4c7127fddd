"""
Weight clustering: few different values a tensor, so that a code book and Huffman codes store it.

`cluster_tflite` works on the file, float or int8, and is what to use last. `cluster_weights` works on a tf_keras model
and returns another one; `CentroidTuning` trains the shared values of it afterwards, as Deep Compression does.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import WristwiseError
from models.compress.kmeans import cluster_values
from models.export import flatbuffer

_MIN_VALUES = 64  # smaller tensors gain less than their code book costs


class ClusteringError(WristwiseError, ValueError):
    """Weights cannot be clustered as asked."""


def _check(bits: int) -> int:
    if not 1 <= bits <= 8:
        raise ClusteringError(f"bits must be 1 to 8 (4 or 5 keep most networks' accuracy), got {bits}")
    return 1 << bits


def cluster_tflite(tflite: bytes, bits: int = 4, *, one_book: bool = False, min_values: int = _MIN_VALUES) -> bytes:
    """
    Return a file whose weight tensors hold at most ``2 ** bits`` different values each, zeros kept.

    Int8 weights stay on their int8 grid: the values are the integers, and an integer's error counts by the square of
    its channel's scale. Biases and the tables of other operators are left alone.

    Parameters
    ----------
    tflite : bytes
    bits : int
        1 to 8. An even trade is 4 for pruned networks and 5 for dense ones.
    one_book : bool
        Let all int8 weights of the file share the same integers: their scales have made their ranges equal, and
        a recurrent network's many small kernels then need one code book instead of sixteen.
    min_values : int
        Tensors of fewer values are left alone.

    Raises
    ------
    ClusteringError
        If `bits` is out of range.
    TFLiteFileError
        If the bytes are not a `.tflite` file.
    """
    n_clusters = _check(bits)
    model = flatbuffer.read(tflite)
    # By buffer: equal constants share one, and are clustered once.
    found = {
        tensor.buffer: tensor for graph in model.subgraphs for tensor in graph.tensors
        if _is_weight(flatbuffer.array(model, tensor), min_values)
    }  # fmt: skip
    groups = [[tensor] for tensor in found.values()]
    if one_book:
        integers = [t for t in found.values() if flatbuffer.DTYPES[t.type] is np.int8]
        groups = [[t] for t in found.values() if flatbuffer.DTYPES[t.type] is not np.int8] + [integers] * bool(integers)
    for group in groups:
        _cluster_group(model, group, n_clusters)
    return flatbuffer.write(model)


def _is_weight(values: NDArray[Any] | None, min_values: int) -> bool:
    if values is None:
        return False
    return values.dtype in (np.float32, np.float16, np.int8) and values.ndim >= 2 and values.size >= min_values


def _cluster_group(model: flatbuffer.Model, tensors: Sequence[Any], n_clusters: int) -> None:
    """Cluster the constants of tensors together, in place."""
    arrays = [np.asarray(flatbuffer.array(model, tensor)) for tensor in tensors]
    values = np.concatenate([array.reshape(-1) for array in arrays])
    mass = np.concatenate([_mass(t, a) for t, a in zip(tensors, arrays, strict=True)])
    found = cluster_values(values.astype(np.float64), n_clusters, mass)
    if values.dtype == np.int8:
        # A centre near zero must not become zero: a weight that is there stays there, a zero stays a zero.
        found = np.where((np.abs(found) < 0.5) & (values != 0), np.sign(found), np.round(found))
        found = np.clip(found, -127, 127)
    place = 0
    for tensor, array in zip(tensors, arrays, strict=True):
        own = found[place : place + array.size].reshape(array.shape)
        flatbuffer.set_array(model, tensor, own.astype(values.dtype))
        place += own.size


def _mass(tensor: Any, values: NDArray[Any]) -> NDArray[np.float64]:
    """Return how much the error of each value counts: by the squared scale of its channel, one on average."""
    q = tensor.quantization
    if values.dtype != np.int8 or q is None or q.scale is None or len(q.scale) < 2:
        return np.ones(values.size)
    shape = [1] * values.ndim
    shape[q.quantizedDimension] = len(q.scale)
    scale = np.broadcast_to(np.reshape(np.asarray(q.scale, np.float64), shape), values.shape)
    return np.asarray((scale**2 / (scale**2).mean()).reshape(-1))


def kernels(model: Any) -> list[Any]:
    """Return the variables of a tf_keras model that are weights and not biases, statistics or gains."""
    return [v for v in model.trainable_weights if len(v.shape) >= 2 and "kernel" in v.name.rsplit("/", 1)[-1]]


def copy_model(model: Any) -> Any:
    """Return a tf_keras model of the same layers, names and weights; nothing is shared with the original."""
    from tf_keras.models import clone_model

    copy = clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def cluster_weights(
    model: Any, bits: int = 4, *, min_values: int = _MIN_VALUES, layers: Sequence[str] | None = None
) -> Any:
    """
    Return a copy of a tf_keras model whose kernels hold at most ``2 ** bits`` values each, zeros kept.

    The model given is not changed (TF-MOT's clustering takes the kernels of yours away).

    Parameters
    ----------
    model : tf_keras.Model
    bits : int
    layers : sequence of str or None
        Only the kernels of these layers; None means all.

    Raises
    ------
    ClusteringError
        If `bits` is out of range or a layer is not there.
    """
    n_clusters = _check(bits)
    chosen = _chosen_kernels(model, layers)
    copy = copy_model(model)
    for variable, theirs in zip(kernels(copy), kernels(model), strict=True):
        values = theirs.numpy()
        if any(theirs is one for one in chosen) and values.size >= min_values:
            found = cluster_values(values.reshape(-1).astype(np.float64), n_clusters)
            variable.assign(found.reshape(values.shape).astype(values.dtype))
    return copy


def _chosen_kernels(model: Any, layers: Sequence[str] | None) -> list[Any]:
    if layers is None:
        return kernels(model)
    known = {layer.name: layer for layer in model.layers}
    missing = [name for name in layers if name not in known]
    if missing:
        raise ClusteringError(f"the model has no layers {missing}; it has {sorted(known)}")
    return [variable for name in layers for variable in kernels(known[name])]


def centroid_tuning(model: Any) -> Any:
    """
    Return a callback for `fit` that trains the shared values of a clustered model and keeps the sharing.

    After each batch every weight takes the mean of its cluster, zeros stay zero: the shared value has then moved by
    the mean gradient of its members (Deep Compression, section 3.3, which takes their sum: a larger step).

    Parameters
    ----------
    model : tf_keras.Model
        What `cluster_weights` returned and `fit` will train.
    """
    from tf_keras.callbacks import Callback

    sharing = [_sharing(variable) for variable in kernels(model) if variable.shape.num_elements() >= _MIN_VALUES]

    class CentroidTuning(Callback):  # type: ignore[misc]
        """Give the members of a cluster their mean after each batch."""

        def on_train_batch_end(self, _batch: int, _logs: Any = None) -> None:
            for share in sharing:
                share()

    return CentroidTuning()


def _sharing(variable: Any) -> Callable[[], None]:
    """Return a function that gives the members of each cluster of now their mean of then."""
    values = variable.numpy()
    symbols, members = np.unique(values, return_inverse=True)
    members, counts = members.reshape(-1), np.bincount(members.reshape(-1))

    def share() -> None:
        means = np.bincount(members, variable.numpy().reshape(-1)) / counts
        means[symbols == 0] = 0.0
        variable.assign(means[members].reshape(values.shape).astype(values.dtype))

    return share
