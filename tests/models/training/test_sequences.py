"""Networks trained side by side learn what they would alone, and what is rounded packs to half the size."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from data.recording import Annotations, Channel, Recording
from models.networks.sleep_nights import VERSIONS, night_examples
from models.networks.sleep_staging import RECIPE
from models.networks.sleep_training import LENGTH, Learner, train_side_by_side
from models.training.sequences import readers, round_to_bfloat16, stepwise
from pipelines.sleep.features import NAMES
from pipelines.sleep_staging import BACKWARD, FORWARD, INPUT, NIGHT, OUTPUT


def night(seed: int) -> Recording:
    """Return two and a half hours whose stages follow the heart rate."""
    rng = np.random.default_rng(seed)
    stages = np.repeat(rng.permutation(["W", "2", "3", "R"] * 3), 25)
    pace = {"W": 80.0, "2": 62.0, "3": 52.0, "R": 70.0}
    hr = np.repeat([pace[s] for s in stages], 6) + rng.normal(0, 1.0, 1800)
    counts = np.where(np.repeat(stages == "W", 2) & (rng.random(600) < 0.7), 80.0, 0.0)
    channels = {n: Channel(n, fs, x.astype(np.float32)) for n, fs, x in (("hr", 0.2, hr), ("counts", 1 / 15, counts))}
    marks = Annotations(np.arange(300) * 30.0, tuple(str(s) for s in stages))
    return Recording(f"n{seed}", f"s{seed}", channels, {"stage": marks})


def test_readers_say_what_the_networks_say() -> None:
    models = [RECIPE.build(seed=k, width=0.1) for k in range(2)]
    rng = np.random.default_rng(0)
    live, over = rng.normal(size=(2, 2, 3, LENGTH, len(NAMES))).astype(np.float32)
    said = readers(models, {OUTPUT: live, FORWARD: over, BACKWARD: over[:, :, ::-1]})
    for k, model in enumerate(models):
        alone = model([live[k], over[k], over[k][:, ::-1]])
        for output, expected in zip((OUTPUT, FORWARD, BACKWARD), alone, strict=True):
            np.testing.assert_allclose(said[output][k], expected, atol=1e-5)


def test_a_night_is_told_as_it_was_first_and_then_disturbed() -> None:
    examples = night_examples([night(0), night(1)], seed=0)
    assert len(examples) == 2 * VERSIONS
    assert examples.recording[:3].tolist() == ["n0", "n1", "n0"]
    for name in (INPUT, NIGHT):
        first, again = examples.inputs[name][0], examples.inputs[name][2]
        assert np.abs(first - again).mean() > 0.01
    np.testing.assert_array_equal(examples.targets[OUTPUT][0], examples.targets[OUTPUT][2])


def test_each_of_the_networks_trained_side_by_side_learns_from_its_own_rows() -> None:
    import tf_keras

    examples = night_examples([night(0), night(1)], seed=0)
    own = [np.flatnonzero(examples.subject == subject) for subject in ("s0", "s1")]
    examples.targets[OUTPUT][own[1]] = 0.0  # the second person is always awake
    tf_keras.utils.set_random_seed(0)
    models = [RECIPE.build(seed=0, width=0.1) for _ in own]
    train_side_by_side([Learner(m, r) for m, r in zip(models, own, strict=True)], examples, epochs=4, seed=0)
    over = examples.inputs[NIGHT][None, :1, :LENGTH]
    said = [readers([m], {FORWARD: over, BACKWARD: over[:, :, ::-1]}) for m in models]
    logits = [(s[FORWARD] + s[BACKWARD][:, :, ::-1]).numpy()[0, 0] for s in said]
    wake = [float((np.exp(x[:, 0]) / np.exp(x).sum(1)).mean()) for x in logits]
    assert wake[1] > wake[0] + 0.1


def test_rounded_weights_pack_to_half_and_say_the_same() -> None:
    model = RECIPE.build(seed=0, width=0.25)
    before = np.concatenate([w.ravel() for w in model.get_weights() if w.ndim == 2])
    round_to_bfloat16(model)
    after = np.concatenate([w.ravel() for w in model.get_weights() if w.ndim == 2])
    np.testing.assert_allclose(after, before, rtol=2**-8)
    assert len(gzip.compress(after.tobytes())) < 0.6 * len(gzip.compress(before.tobytes()))
    assert [i.shape[1] for i in stepwise(model).inputs] == [1, 1, 1]
