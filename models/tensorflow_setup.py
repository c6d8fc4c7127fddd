"""Settings that must stand before TensorFlow is first imported."""

from __future__ import annotations

import os


def quiet(threads: int = 1) -> None:
    """
    Choose Keras 2, silence TensorFlow's start-up chatter and pin its threads.

    One thread a process is as fast as two for networks of this size, and bits depend on the number of threads.

    Raises
    ------
    MissingExtraError
        If TensorFlow is not installed.
    """
    from data.errors import MissingExtraError
    from models.chatter import without_chatter

    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    try:
        with without_chatter():
            import tensorflow as tf
    except ImportError as error:
        raise MissingExtraError(
            "training, pruning and export need TensorFlow; install it with: pip install 'wristwise[train]'"
        ) from error
    tf.get_logger().setLevel("ERROR")  # its advice on tracing is for us, and follows from models that change shape
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        return  # TensorFlow runs already: its threads are as its first user set them
    with without_chatter():
        tf.config.list_logical_devices()  # it looks for a GPU now, and not in the middle of somebody's output
