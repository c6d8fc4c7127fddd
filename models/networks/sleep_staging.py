"""The network that stages sleep: an LSTM that follows the night, and two that read it once it is over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from data.recording import Recording
from models.networks.sleep_nights import VERSIONS, night_examples
from models.networks.sleep_training import LENGTH, Learner, train_side_by_side
from models.training.recipe import Examples, KerasModel, Progress, PruneTarget
from models.training.sequences import round_to_bfloat16
from pipelines.sleep.agreement import kappa
from pipelines.sleep.features import NAMES
from pipelines.sleep.stages import FROM_LABEL
from pipelines.sleep_staging import BACKWARD, FORWARD, INPUT, NIGHT, OUTPUT, TASK, WAKE_ABOVE, WAKE_ABOVE_LIVE
from pipelines.task import Task, Windows

Array = NDArray[np.float32]
_UNITS = 48
# Who reads what: output's name to input's name, in the order of the file.
READS: Mapping[str, str] = {OUTPUT: INPUT, FORWARD: NIGHT, BACKWARD: f"{NIGHT}_reversed"}


class SleepRecipe:
    """
    Three LSTMs of 48 units, pruned to 12: one for the watch, two whose logits are added for the finished night.

    The weights of the pruned network are rounded to bfloat16: half of the file's bytes are zero.
    """

    task: Task = TASK
    datasets: tuple[str, ...] = ("sleep-accel",)
    export_mode: Literal["float32", "float16", "int8", "weight_int8"] = "float32"
    sequence: bool = True
    epochs: int = 15
    quick_epochs: int = 2
    prune_target: PruneTarget = PruneTarget(channels_removed=0.75, recover_epochs=15)

    def examples(self, recordings: Sequence[Recording], *, seed: int) -> Examples:
        """Return the nights, as they were and disturbed; the disturbances are the same for every seed."""
        del seed
        return night_examples(recordings, seed=0)

    def build(self, *, seed: int, width: float = 1.0) -> KerasModel:
        """Return the untrained network for crops of 2 h; `models.training.sequences.stepwise` makes it step by step."""
        del seed
        import tf_keras
        from tf_keras import layers

        units = max(2, round(_UNITS * width))
        given, said = [], []
        for output, name in READS.items():
            given.append(layers.Input((LENGTH, len(NAMES)), name=name))
            x = layers.Dense(units, "tanh", name=f"{output}_mix")(given[-1])
            x = layers.LSTM(units, return_sequences=True, name=f"{output}_lstm")(x)
            said.append(layers.Dense(4, name=output)(x))
        return tf_keras.Model(given, said, name="sleep_staging")

    def fit(
        self, model: KerasModel, examples: Examples, *, epochs: int, seed: int,
        teacher: KerasModel | None = None, callbacks: Sequence[Any] = (), progress: Progress | None = None,
    ) -> None:  # fmt: skip
        """Train in place on random crops (`models.networks.sleep_training`); round the weights of a taught network."""
        learner = Learner(model, np.arange(len(examples)), teacher)
        train_side_by_side([learner], examples, epochs=epochs, seed=seed, callbacks=callbacks, progress=progress)
        if teacher is not None:
            round_to_bfloat16(model)

    def rows(self, examples: Examples) -> tuple[dict[str, Array], dict[str, Array]]:
        """
        Return undisturbed crops of 2 h in which every stage is known, as the network takes and gives them.

        Pruning measures on these: shape (n, 240, n_features) in reading order, stages one-hot.
        """
        crops = [
            (night, start)
            for night in range(max(1, len(examples) // VERSIONS))
            for start in range(0, int(examples.weight[night]) - LENGTH + 1, LENGTH // 2)
            if np.isfinite(examples.targets[OUTPUT][night, start : start + LENGTH]).all()
        ]
        live, night = (
            np.stack([examples.inputs[name][n, s : s + LENGTH] for n, s in crops]) for name in (INPUT, NIGHT)
        )
        stages = np.stack([examples.targets[OUTPUT][n, s : s + LENGTH] for n, s in crops]).astype(int)
        y = np.eye(4, dtype=np.float32)[stages]
        given = {INPUT: live, NIGHT: night, f"{NIGHT}_reversed": night[:, ::-1]}
        return given, {OUTPUT: y, FORWARD: y, BACKWARD: y[:, ::-1]}

    sensors: ClassVar = {"motion": ("counts", "acc_x", "acc_y", "acc_z"), "hr": ("hr",)}
    error_unit = "1 - kappa of four stages, decoded from both readers of the finished night"

    def error(self, outputs: Sequence[Array], targets: Sequence[Array]) -> float:
        """Return 1 - Cohen's kappa of crops, logits (n, 240, 4) of all readers as the decoder takes them."""
        n = outputs[0].size // 4
        rows = {
            OUTPUT: outputs[0].reshape(n, 1, 4), FORWARD: outputs[1].reshape(n, 1, 4),
            BACKWARD: outputs[2][:, ::-1].reshape(n, 1, 4),
        }  # fmt: skip
        start = np.arange(n, dtype=np.float64) * TASK.window.step_s
        windows = Windows({}, start, start + TASK.window.step_s, np.ones(n, np.float32))
        said = TASK.decoder(offline=True).update(rows, windows)
        table = np.zeros((4, 4), np.int64)
        np.add.at(table, (targets[0].argmax(-1).ravel(), [FROM_LABEL[str(e.value)] for e in said]), 1)
        return 1.0 - (kappa(table) or 0.0)

    def configure(
        self, predict: Callable[[Mapping[str, Array]], Mapping[str, Array]], recordings: Sequence[Recording]
    ) -> dict[str, Any]:
        """Return the thresholds of wake, by choice: thresholds fitted on nights that were trained on mean little."""
        del predict, recordings
        return {"wake_above": WAKE_ABOVE, "wake_above_live": WAKE_ABOVE_LIVE}


RECIPE = SleepRecipe()
