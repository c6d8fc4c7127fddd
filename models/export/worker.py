"""
The child process in which TensorFlow converts.

A converter that meets a loop and a representative data set ends its process with SIGSEGV, so conversion never
happens in the caller's process. This file is run by path, not imported by it: it must not import from this package.
It reads pickled requests from standard input and writes pickled replies, each with an 8-byte length in front, to
what was standard output when it started; TensorFlow's own chatter goes to standard error.
"""

import os
import pickle
import struct
import sys
from collections.abc import Callable, Iterator
from typing import IO, Any

import numpy as np

_LENGTH = struct.Struct("<Q")


def send(stream: IO[bytes], message: object) -> None:
    """Write one pickled message with its length in front."""
    body = pickle.dumps(message, protocol=5)
    stream.write(_LENGTH.pack(len(body)))
    stream.write(body)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """Read one message; raise `EOFError` when the other side has gone."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError("the other side closed the pipe")
    (size,) = _LENGTH.unpack(head)
    body = stream.read(size)
    if len(body) < size:
        raise EOFError("the other side closed the pipe in the middle of a message")
    return pickle.loads(body)


class _CannotRebuildError(Exception):
    """The description holds a layer that this process does not know."""


def _load(request: dict[str, Any]) -> Any:
    """Build the model again from its description; the caller's object stays where it is."""
    import tf_keras

    try:
        model = tf_keras.models.model_from_json(request["json"])
    except Exception as error:  # an unknown layer comes as ValueError or TypeError, with many texts
        raise _CannotRebuildError(str(error)) from error
    model.set_weights(request["weights"])
    return model


def _converter(request: dict[str, Any]) -> tuple[Any, Any]:
    """Return the converter and the object that keeps its variables alive."""
    import tensorflow as tf

    if request["saved_model"] is not None:
        return tf.lite.TFLiteConverter.from_saved_model(request["saved_model"]), None
    model = _load(request)
    specs = [
        tf.TensorSpec(shape, dtype, name=f"input_{k}")
        for k, (shape, dtype) in enumerate(zip(request["shapes"], request["dtypes"], strict=True))
    ]
    # A concrete function of fixed batch: with a free batch an LSTM does not fuse.
    call = tf.function(
        lambda *rows: tf.nest.flatten(model(list(rows) if len(rows) > 1 else rows[0], training=False)), autograph=False
    )
    concrete = call.get_concrete_function(*specs)
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], model), model


def _rows(arrays: list[np.ndarray[Any, Any]]) -> Callable[[], Iterator[dict[str, np.ndarray[Any, Any]]]]:
    """Return the generator function that the converter calls for one sample after the other.

    By name, not by place: the file that is calibrated has its inputs in an order of its own.
    """

    def rows() -> Iterator[dict[str, np.ndarray[Any, Any]]]:
        for k in range(len(arrays[0])):
            yield {f"input_{place}": array[k : k + 1] for place, array in enumerate(arrays)}

    return rows


def _convert(request: dict[str, Any]) -> bytes:
    """Convert one model as the request says."""
    import tensorflow as tf
    import tf_keras

    tf_keras.backend.clear_session()  # else automatic layer names, and so the bytes, depend on what came before
    converter, alive = _converter(request)
    mode = request["mode"]
    if mode != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if mode == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if mode == "weight_int8":
        # The new quantizer leaves recurrent kernels in float.
        converter.experimental_new_dynamic_range_quantizer = False
    if mode == "int8":
        converter.representative_dataset = _rows(request["representative"])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        if request["io"] == "int8":
            converter.inference_input_type = tf.int8
            converter.inference_output_type = tf.int8
    data = bytes(converter.convert())
    del alive
    return data


def main() -> None:
    """Answer requests until the pipe closes."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    import tensorflow as tf

    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    send(replies, ("ready", ""))
    while True:
        try:
            request = receive(sys.stdin.buffer)
        except EOFError:
            return
        try:
            reply: tuple[str, object] = ("done", _convert(request))
        except _CannotRebuildError as error:
            reply = ("unknown", str(error))
        except Exception as error:  # whatever the converter says is the answer; the caller turns it into one sentence
            reply = ("failed", f"{type(error).__name__}: {error}")
        send(replies, reply)


if __name__ == "__main__":
    main()
