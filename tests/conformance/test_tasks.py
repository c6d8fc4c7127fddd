"""The rules of DESIGN.md, held for every registered task, found through the registry."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from data.errors import ChannelError
from data.recording import Channel, Recording
from data.synthetic.wearer import wearer
from models.bundle import shipped
from models.evaluate import decode, infer, open_model
from models.runtime import Model
from pipelines.registry import TASKS
from pipelines.stream import WindowStream
from pipelines.task import Task, Windows

TASK_LIST = list(TASKS.values())
NETWORK_TASKS = [t for t in TASK_LIST if t.network]
every_task = pytest.mark.parametrize("task", TASK_LIST, ids=lambda t: t.name)
every_network_task = pytest.mark.parametrize("task", NETWORK_TASKS, ids=lambda t: t.name)


def sample(task: Task, seconds: float | None = None, seed: int = 0) -> Recording:
    length = seconds or (task.window.length_s + 12 * task.window.step_s)
    return wearer([c.name for c in task.channels], seconds=length, seed=seed)


def assert_same(found: Windows, wanted: Windows) -> None:
    np.testing.assert_array_equal(found.start_s, wanted.start_s)
    np.testing.assert_allclose(found.quality, wanted.quality, atol=1e-6)
    for name, value in wanted.inputs.items():
        np.testing.assert_allclose(found.inputs[name], value, rtol=1e-5, atol=1e-6, err_msg=name)


@every_task
def test_prepare_is_pure(task: Task) -> None:
    recording = sample(task)
    before = {n: c.samples.copy() for n, c in recording.channels.items()}
    first, second = task.prepare(recording), task.prepare(recording)
    assert_same(second, first)
    for name, samples in before.items():
        np.testing.assert_array_equal(recording.channels[name].samples, samples)


@every_task
def test_prepare_gives_one_row_for_each_whole_window(task: Task) -> None:
    recording = sample(task)
    windows = task.prepare(recording)
    usable = [recording.channels[c.name] for c in task.channels if c.name in recording.channels]
    assert len(windows) == task.window.count(min(c.end_s for c in usable)) > 0
    np.testing.assert_allclose(np.diff(windows.start_s), task.window.step_s)
    np.testing.assert_allclose(windows.end_s - windows.start_s, task.window.length_s)
    assert all(np.isfinite(v).all() and v.dtype == np.float32 for v in windows.inputs.values())
    assert ((windows.quality >= 0) & (windows.quality <= 1)).all()


@every_task
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_streaming_in_any_chunks_gives_the_windows_of_one_pass(task: Task, seed: int) -> None:
    recording = sample(task)
    whole = task.prepare(recording)
    stream = WindowStream(task)
    edges = np.sort(np.random.default_rng(seed).uniform(0, recording.end_s, 7))
    pieces = [
        stream.push(recording.slice(float(a), float(b)).channels)
        for a, b in zip([0.0, *edges], [*edges, np.inf], strict=True)
    ]
    assert sum(len(p) for p in pieces) == len(whole)
    first = 0
    for piece in pieces:
        assert_same(piece, whole.take(slice(first, first + len(piece))))
        first += len(piece)


@every_task
def test_a_row_does_not_depend_on_samples_outside_its_declared_span(task: Task) -> None:
    recording = sample(task)
    whole = task.prepare(recording)
    k = len(whole) - 1
    start = k * task.window.step_s
    inside = recording.slice(start - task.window.context_s, start + task.window.length_s)
    assert_same(task.prepare(inside, (k, k + 1)), whole.take(slice(k, k + 1)))


@every_task
def test_a_missing_required_channel_is_named(task: Task) -> None:
    required = [c.name for c in task.channels if c.required]
    recording = sample(task)
    for name in required:
        rest = recording.select([n for n in recording.channels if n != name])
        with pytest.raises(ChannelError, match=name):
            task.prepare(rest)


@every_task
def test_missing_optional_channels_are_a_case(task: Task) -> None:
    recording = sample(task)
    optional = [c.name for c in task.channels if not c.required and c.name in recording.channels]
    for name in optional:
        windows = task.prepare(recording.select([n for n in recording.channels if n != name]))
        assert all(np.isfinite(v).all() for v in windows.inputs.values())


@every_task
@pytest.mark.parametrize("value", [np.nan, 0.0, 1e4], ids=["nan", "silence", "clipped"])
def test_a_dead_sensor_gives_an_answer_not_a_crash(task: Task, value: float) -> None:
    recording = sample(task)
    dead = replace(
        recording,
        channels={n: replace(c, samples=np.full_like(c.samples, value)) for n, c in recording.channels.items()},
    )
    windows = task.prepare(dead)
    assert all(np.isfinite(v).all() for v in windows.inputs.values())
    estimates = decode(task, windows, open_model(task))
    assert all(e.value is None or isinstance(e.value, float | str) for e in estimates)


@every_task
@pytest.mark.parametrize("factor", [0.5, 0.8, 2.0])
def test_a_foreign_rate_gives_the_same_number_of_windows(task: Task, factor: float) -> None:
    recording = sample(task)
    foreign = {n: _resampled(c, factor) for n, c in recording.channels.items()}
    windows = task.prepare(replace(recording, channels=foreign))
    assert abs(len(windows) - len(task.prepare(recording))) <= 1
    assert all(np.isfinite(v).all() for v in windows.inputs.values())


def _resampled(channel: Channel, factor: float) -> Channel:
    if channel.times_s is not None:
        return channel
    fs = channel.fs_hz * factor
    times = np.arange(int(channel.samples.size * factor)) / fs
    return Channel(channel.name, fs, np.interp(times, channel.times(), channel.samples).astype(np.float32))


@every_task
def test_a_gap_of_nan_is_a_case(task: Task) -> None:
    recording = sample(task)
    middle = recording.end_s / 2
    holed = {}
    for name, channel in recording.channels.items():
        samples = channel.samples.copy()
        samples[(channel.times() > middle) & (channel.times() < middle + 1.5)] = np.nan
        holed[name] = replace(channel, samples=samples)
    windows = task.prepare(replace(recording, channels=holed))
    assert all(np.isfinite(v).all() for v in windows.inputs.values())


@every_task
def test_causal_decoding_in_pieces_with_a_saved_state_equals_one_pass(task: Task) -> None:
    model = open_model(task)
    windows = task.prepare(sample(task))
    config = model.bundle.config if model else None
    outputs = model.predict(windows) if model else {}
    one = task.decoder(config=config)
    whole = [*one.update(outputs, windows), *one.finish()]
    decoder, pieces = task.decoder(config=config), []
    for k in range(len(windows)):
        rows = slice(k, k + 1)
        pieces += decoder.update({n: v[rows] for n, v in outputs.items()}, windows.take(rows))
        saved = json.loads(json.dumps(decoder.state()))
        decoder = task.decoder(config=config)
        decoder.restore(saved)
    pieces += decoder.finish()
    assert pieces == whole


@every_task
def test_one_stream_cannot_reach_another(task: Task) -> None:
    model = open_model(task)
    mine, other = sample(task, seed=1), sample(task, seed=2)
    alone = infer(task, mine, model)
    infer(task, other, model)
    assert infer(task, mine, model) == alone


@every_network_task
def test_the_shipped_bundle_replays_its_stored_check(task: Task) -> None:
    bundle = shipped(task)
    bundle.check_task(task)
    inputs, wanted = bundle.stored_check()
    found = Model(bundle).run(inputs)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, atol=1e-5, err_msg=name)


@every_network_task
def test_both_runtimes_give_the_same_output(task: Task) -> None:
    pytest.importorskip("tflite_micro", reason="the extra 'watch' is not installed")
    bundle = shipped(task)
    inputs, _ = bundle.stored_check()
    on_server, on_watch = Model(bundle).run(inputs), Model(bundle, "micro").run(inputs)
    for spec in bundle.outputs:
        # int8 kernels of the two runtimes round differently by one step, which a softmax can make two.
        step = spec.scale if spec.dtype == "int8" else 1e-4
        np.testing.assert_allclose(on_watch[spec.name], on_server[spec.name], atol=2.01 * step, err_msg=spec.name)


@pytest.mark.parametrize("task", [t for t in NETWORK_TASKS if not shipped(t).sequence], ids=lambda t: t.name)
def test_rows_run_singly_as_they_run_together(task: Task) -> None:
    bundle = shipped(task)
    inputs, _ = bundle.stored_check()
    together = Model(bundle).run(inputs)
    for k in range(len(next(iter(inputs.values())))):
        alone = Model(bundle).run({n: v[k : k + 1] for n, v in inputs.items()})
        for name, value in alone.items():
            np.testing.assert_array_equal(value[0], together[name][k])


@every_network_task
def test_the_card_names_its_data_with_licences_and_its_figures(task: Task) -> None:
    card = shipped(task).card
    for data_set in card["training"]["data_sets"]:
        assert data_set["licence"]
        assert data_set["open_licence"] in (True, False)
    assert card["metrics"][task.metric] is not None
    assert card["sizes"]["tflite_bytes"] < card["parent"]["tflite_bytes"]
