"""A toy task with its recipe: is the pulse of a clean sine above 75 BPM? Enough to run every stage in seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.recording import Channel, Recording
from models.training.recipe import Examples, KerasModel, Progress, PruneTarget
from pipelines.task import ChannelSpec, Estimate, Memoryless, Metrics, Outputs, Windows, WindowSpec

FS_HZ, N = 8.0, 64


class ToyDecoder(Memoryless):
    def __init__(self, config: Mapping[str, Any]) -> None:
        self._threshold = float(config.get("threshold", 0.5))

    def update(self, outputs: Outputs, windows: Windows) -> list[Estimate]:
        return [
            Estimate("fast", float(a), float(b), "fast" if p > self._threshold else "slow")
            for a, b, p in zip(windows.start_s, windows.end_s, outputs["fast"][:, 0], strict=True)
        ]


class ToyTask:
    name, title, version, kind, metric = "toy", "Toy", "1", "fast", "accuracy"
    channels = (ChannelSpec("ppg", required=True),)
    window = WindowSpec(8.0, 8.0)
    higher_is_better, network, datasets = True, True, ("toy",)

    def prepare(self, recording: Recording, windows: tuple[int, int] | None = None) -> Windows:
        samples = recording.require("ppg").samples
        first, last = windows or (0, self.window.count(recording.end_s))
        rows = samples[first * N : last * N].reshape(-1, 1, N, 1)
        start = np.arange(first, last) * self.window.step_s
        return Windows({"ppg": rows}, start, start + 8.0, np.ones(last - first, np.float32))

    def targets(self, recording: Recording, windows: Windows) -> dict[str, NDArray[np.float32]]:
        fast = float(recording.meta["bpm"]) > 75
        return {"fast": np.full((len(windows), 1), fast, np.float32)}

    def decoder(self, *, offline: bool = False, config: Mapping[str, Any] | None = None) -> ToyDecoder:
        del offline
        return ToyDecoder(config or {})

    def baseline(self, windows: Windows) -> list[Estimate]:
        return [
            Estimate("fast", float(a), float(b), "slow") for a, b in zip(windows.start_s, windows.end_s, strict=True)
        ]

    def score(self, estimates: Sequence[Estimate], recording: Recording) -> dict[str, Any]:
        truth = "fast" if float(recording.meta["bpm"]) > 75 else "slow"
        return {"accuracy": float(np.mean([e.value == truth for e in estimates]))}

    def summarise(self, scores: Sequence[Mapping[str, Any]]) -> Metrics:
        return {"accuracy": float(np.mean([s["accuracy"] for s in scores]))}


class ToyRecipe:
    task, datasets, export_mode, sequence = ToyTask(), ("toy",), "int8", False
    epochs, quick_epochs = 12, 12
    prune_target = PruneTarget(channels_removed=0.5, recover_epochs=4)

    def examples(self, recordings: Sequence[Recording], *, seed: int) -> Examples:
        del seed
        windows = [self.task.prepare(r) for r in recordings]
        counts = [len(w) for w in windows]
        targets = [self.task.targets(r, w)["fast"] for r, w in zip(recordings, windows, strict=True)]
        return Examples(
            {"ppg": np.concatenate([w.inputs["ppg"] for w in windows])}, {"fast": np.concatenate(targets)},
            np.ones(sum(counts), np.float32),
            np.repeat([r.subject for r in recordings], counts), np.repeat([r.id for r in recordings], counts),
        )  # fmt: skip

    def build(self, *, seed: int, width: float = 1.0) -> KerasModel:
        del seed
        from tf_keras import Model, layers

        x = given = layers.Input((1, N, 1), name="ppg")
        for k, channels in enumerate((32, 32)):
            x = layers.Conv2D(int(channels * width), (1, 9), 2, "same", use_bias=False, name=f"conv_{k}")(x)
            x = layers.ReLU(name=f"relu_{k}")(layers.BatchNormalization(name=f"bn_{k}")(x))
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        return Model(given, layers.Dense(1, "sigmoid", name="fast")(x), name="toy")

    def fit(
        self, model: KerasModel, examples: Examples, *, epochs: int, seed: int, teacher: KerasModel | None = None,
        callbacks: Sequence[Any] = (), progress: Progress | None = None,
    ) -> None:  # fmt: skip
        del seed, teacher, progress
        from tf_keras.optimizers.legacy import Adam

        model.compile(Adam(3e-3), "binary_crossentropy")
        x, y = examples.inputs["ppg"], examples.targets["fast"]
        model.fit(x, y, batch_size=16, epochs=epochs, verbose=0, callbacks=list(callbacks))

    def configure(
        self, predict: Callable[..., Mapping[str, NDArray[np.float32]]], recordings: Sequence[Recording]
    ) -> dict[str, Any]:
        found = predict(self.task.prepare(recordings[0]).inputs)["fast"]
        return {"threshold": 0.5, "seen": int(found.shape[0])}


def toy_recordings(n: int = 8) -> list[Recording]:
    """Return one recording a subject: every other one fast."""
    made = []
    for k in range(n):
        rng = np.random.default_rng(k)
        bpm = (60.0, 95.0)[k % 2] + rng.uniform(-5, 5)
        t = np.arange(N * 20) / FS_HZ
        samples = np.sin(2 * np.pi * bpm / 60 * t) + 0.1 * rng.standard_normal(t.size)
        made.append(
            Recording(
                f"r{k}", f"s{k}", {"ppg": Channel("ppg", FS_HZ, samples.astype(np.float32))}, dataset="toy",
                licence="MIT", meta={"bpm": str(bpm)},
            )
        )  # fmt: skip
    return made
