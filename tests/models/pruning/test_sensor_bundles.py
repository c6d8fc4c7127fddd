"""A bundle for every set of sensors: each opens, takes the task's own windows, and has lost what it does not need."""

import json

import numpy as np
import pytest

tf_keras = pytest.importorskip("tf_keras")

from data.recording import Channel  # noqa: E402
from models.bundle import Bundle  # noqa: E402
from models.evaluate import evaluate  # noqa: E402
from models.run.sensors import sensor_bundles, sensors_of, silent_columns  # noqa: E402
from models.runtime import Model  # noqa: E402
from models.training.recipe import PruneTarget  # noqa: E402
from pipelines.task import ChannelSpec, Windows  # noqa: E402
from tests.models.toy import N, ToyRecipe, ToyTask, toy_recordings  # noqa: E402


class TwoSensors(ToyTask):
    channels = (ChannelSpec("ppg", required=True), ChannelSpec("acc_x"))

    def prepare(self, recording, windows=None):
        plain = super().prepare(recording, windows)
        acc = recording.channels.get("acc_x")
        first, last = windows or (0, self.window.count(recording.end_s))
        rows = np.zeros_like(plain.inputs["ppg"])
        if acc is not None:
            rows = acc.samples[first * N : last * N].reshape(-1, 1, N, 1)
        return Windows(
            {"ppg": np.concatenate([plain.inputs["ppg"], rows], -1)}, plain.start_s, plain.end_s, plain.quality
        )


class TwoSensorRecipe(ToyRecipe):
    task = TwoSensors()
    prune_target = PruneTarget(channels_removed=0.5, recover_epochs=2)

    def build(self, *, seed, width=1.0):
        del seed
        from tf_keras import Model as Net
        from tf_keras import layers

        given = layers.Input((1, N, 2), name="ppg")
        x = layers.Conv2D(int(16 * width), (1, 9), 2, "same", activation="relu", name="conv")(given)
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        return Net(given, layers.Dense(1, "sigmoid", name="fast")(x), name="toy")


def recordings():
    rng = np.random.default_rng(0)
    for one in toy_recordings():
        noise = Channel("acc_x", 8.0, rng.normal(size=one.channels["ppg"].samples.size).astype(np.float32))
        yield type(one)(**{**vars(one), "channels": {**one.channels, "acc_x": noise}})


def test_every_set_of_sensors_gets_a_bundle_that_takes_the_same_windows(tmp_path) -> None:
    recipe, people = TwoSensorRecipe(), list(recordings())
    dense = recipe.build(seed=0)
    recipe.fit(dense, recipe.examples(people[:6], seed=0), epochs=8, seed=0)

    found = sensor_bundles(
        recipe, dense, people[:6], people[6:], tmp_path, seed=0, epochs=2, power_uw={"ppg": 300, "acc": 20}
    )

    assert sensors_of(recipe) == {"ppg": ("ppg",), "acc": ("acc_x",)}
    assert [one.sensors for one in found] == [("ppg", "acc"), ("ppg",), ("acc",)]
    both, alone, none = found
    assert (both.power_uw, alone.power_uw) == (320, 300)
    assert alone.bytes < both.bytes
    assert "has no channel 'ppg'" in none.why_not
    bundle = Bundle.open(tmp_path / "ppg")
    assert bundle.inputs[0].shape[-1] == 1
    assert bundle.inputs[0].columns == (0,)
    assert bundle.card["sensors"] == ["ppg"]
    full, bare = people[6], people[6].select(["ppg"])
    assert evaluate(recipe.task, [full], Model(bundle)) == evaluate(recipe.task, [bare], Model(bundle))
    told = json.loads((tmp_path / "sensors.json").read_text())
    assert [len(s["sensors"]) for s in told["sets"]] == [2, 1, 1]
    assert "| ppg + acc | " in (tmp_path / "sensors.md").read_text()


def test_columns_are_silent_where_no_recording_moves_them() -> None:
    people = [one.select(["ppg"]) for one in recordings()]
    assert silent_columns(TwoSensors(), people) == {"ppg": (1,)}
    assert silent_columns(TwoSensors(), list(recordings())) == {}
