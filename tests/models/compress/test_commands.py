"""The command line of export, gate and compression, in this process and from the user's side."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from data.errors import WristwiseError
from models.export.probes import conv_probe
from wristwise import app


def _run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def tflite(tmp_path: Path) -> Path:
    path = tmp_path / "small.tflite"
    path.write_bytes(conv_probe(16, 16, 5, 64, "int8"))
    return path


def test_compress_and_decompress_give_the_file_back(tflite: Path, tmp_path: Path) -> None:
    made = _run("compress", tflite, "--json")
    assert made.exit_code == 0, made.output
    entry = json.loads(made.stdout)
    assert entry["compressed_bytes"] == (tmp_path / "small.wwz").stat().st_size < entry["bytes"]
    back = _run("decompress", tmp_path / "small.wwz", "--out", tmp_path / "back.tflite")
    assert back.exit_code == 0
    assert (tmp_path / "back.tflite").read_bytes() == tflite.read_bytes()


def test_clustering_on_the_way_makes_it_smaller(tflite: Path, tmp_path: Path) -> None:
    plain = json.loads(_run("compress", tflite, "--json", "--out", tmp_path / "a.wwz").stdout)
    few = json.loads(_run("compress", tflite, "--json", "--bits", 4, "--out", tmp_path / "b.wwz").stdout)
    assert few["compressed_bytes"] < 0.8 * plain["compressed_bytes"]


def test_the_gate_prints_one_line_a_runtime(tflite: Path) -> None:
    found = _run("gate", tflite, "--runtimes", "litert,micro")
    assert found.exit_code == 0, found.output
    assert [line.split()[0] for line in found.stdout.splitlines()] == ["litert", "micro"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("compress", "nowhere.tflite"), "cannot read nowhere.tflite"),
        (("compress", "{file}", "--form", "zip"), "wwz or decode"),
        (("compress", "{file}", "--form", "decode"), "prune more"),
        (("compress", "{file}", "--bits", "12"), "1 to 8"),
        (("decompress", "{file}"), "begins with WWZ1"),
        (("gate", "{file}", "--runtimes", "abacus"), "runtime must be one of"),
    ],
)
def test_a_users_mistake_is_one_sentence(words: tuple[str, ...], reason: str, tflite: Path) -> None:
    found = _run(*(word.replace("{file}", str(tflite)) for word in words))
    assert found.exit_code != 0
    assert isinstance(found.exception, WristwiseError)
    assert reason in str(found.exception)


@pytest.mark.tensorflow
def test_export_turns_a_saved_model_into_everything_a_watch_needs(tmp_path: Path) -> None:
    tf_keras = pytest.importorskip("tf_keras")
    layers: Any = tf_keras.layers
    entry = layers.Input((1, 32, 3), name="acc")
    x = layers.Conv2D(4, (1, 3), activation="relu", name="conv")(entry)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    tf_keras.Model(entry, layers.Dense(2, name="out")(x)).save(tmp_path / "mine.keras")
    rows = np.random.default_rng(0).normal(size=(40, 1, 32, 3)).astype(np.float32)
    np.savez(tmp_path / "rows.npz", acc=rows)
    made = _run(
        "export", tmp_path / "mine.keras", "--calibration", tmp_path / "rows.npz", "--out", tmp_path / "out",
        "--name", "mine", "--json",
    )  # fmt: skip
    assert made.exit_code == 0, made.exception
    entry = json.loads(made.stdout)
    assert entry["gate"]["ok"] is True
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"mine.tflite", "mine.wwz", "mine.h", "mine.cc", "report.json", "report.md"}
    agrees = _run(
        "gate", tmp_path / "out" / "mine.tflite", "--model", tmp_path / "mine.keras", "--samples",
        tmp_path / "rows.npz", "--runtimes", "litert,micro",
    )  # fmt: skip
    assert agrees.exit_code == 0, agrees.exception
    assert "from the model" in agrees.stdout
