"""`Bundle`: a folder with `model.tflite`, its card, a stored check and hashes. No TensorFlow here."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import BundleError
from pipelines.task import Task

FORMAT = 1
MODEL_FILE = "model.tflite"
CARD_FILE = "card.json"
CHECK_FILE = "check.npz"  # a few inputs and the outputs they gave at export: `runtime` replays them
ZOO = Path(__file__).parent / "zoo"


@dataclass(frozen=True)
class TensorSpec:
    """
    One input or output of the network, in the order of the file.

    Parameters
    ----------
    name : str
        Key in `Windows.inputs` (or in the outputs).
    shape : tuple of int
        With the leading 1 of the batch.
    dtype : str
        ``float32`` or ``int8``.
    scale, zero_point : float, int
        real = scale * (stored - zero_point); 1 and 0 for float.
    columns : tuple of int
        Of an input: which columns (last axis) of the task's array the file takes; empty for all. A bundle for fewer
        sensors takes the same windows as the others.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    scale: float = 1.0
    zero_point: int = 0
    columns: tuple[int, ...] = ()

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> TensorSpec:
        """Return the spec in a card's entry."""
        return cls(
            str(entry["name"]), tuple(int(n) for n in entry["shape"]), str(entry["dtype"]),
            float(entry["scale"]), int(entry["zero_point"]), tuple(int(n) for n in entry.get("columns", ())),
        )  # fmt: skip

    def entry(self) -> dict[str, Any]:
        """Return the card's entry."""
        return {
            "name": self.name, "shape": list(self.shape), "dtype": self.dtype,
            "scale": self.scale, "zero_point": self.zero_point,
            **({"columns": list(self.columns)} if self.columns else {}),
        }  # fmt: skip


@dataclass(frozen=True)
class Bundle:
    """
    A model that can be shipped: file, card, and the stored input-output pair that proves it.

    Card keys: ``format``, ``task``, ``preprocessing`` (`Task.version`), ``sequence`` (True: rows are steps of one
    sequence and the network keeps state between them), ``inputs``, ``outputs``, ``config`` (for `Task.decoder`),
    ``training`` (data sets with licences, subjects, seeds, command), ``method``, ``parent``, ``metrics``,
    ``sizes``, ``files`` (sha256 of each file).
    """

    folder: Path
    card: Mapping[str, Any]
    model: bytes

    @property
    def task(self) -> str:
        """Name of the task."""
        return str(self.card["task"])

    @property
    def version(self) -> str:
        """First 12 hex digits of the model file's SHA-256: what `Estimate`s and `Record`s name."""
        return str(self.card["files"][MODEL_FILE])[:12]

    @property
    def sequence(self) -> bool:
        """Whether rows are steps of one sequence."""
        return bool(self.card.get("sequence", False))

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Inputs in the order of the file."""
        return tuple(TensorSpec.read(e) for e in self.card["inputs"])

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Outputs in the order of the file."""
        return tuple(TensorSpec.read(e) for e in self.card["outputs"])

    @property
    def config(self) -> Mapping[str, Any]:
        """What was fitted beside the network, for `Task.decoder`."""
        config: Mapping[str, Any] = self.card.get("config", {})
        return config

    @classmethod
    def open(cls, folder: Path | str) -> Bundle:
        """
        Open a bundle: the hashes first, then the format.

        Raises
        ------
        BundleError
            If a file is missing, was changed, or the card is of another format.
        """
        folder = Path(folder)
        card = _read_card(folder)
        if card.get("format") != FORMAT:
            raise BundleError(f"{folder / CARD_FILE} has format {card.get('format')!r}, this version reads {FORMAT}")
        for name, expected in card["files"].items():
            if not (folder / name).is_file():
                raise BundleError(f"bundle {folder} lacks {name}, which its card names; rebuild or fetch it again")
            found = _sha256((folder / name).read_bytes())
            if found != expected:
                raise BundleError(
                    f"{folder / name} was changed: its card says sha256 {expected[:12]}…, the file has {found[:12]}…; "
                    "rebuild or fetch the bundle again"
                )
        return cls(folder, card, (folder / MODEL_FILE).read_bytes())

    def check_task(self, task: Task) -> None:
        """Raise `BundleError` unless this bundle was made for `task` and its present preprocessing."""
        if self.task != task.name:
            raise BundleError(f"bundle {self.folder} is for task {self.task!r}, not {task.name!r}")
        if self.card["preprocessing"] != task.version:
            raise BundleError(
                f"bundle {self.folder} was trained on preprocessing {self.card['preprocessing']!r} of {task.name!r}, "
                f"this version has {task.version!r}; run `wristwise run {task.name}` to rebuild it"
            )

    def stored_check(self) -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.float32]]]:
        """Return the stored inputs and the outputs they gave at export, by name, one row a case."""
        with np.load(self.folder / CHECK_FILE) as stored:
            return (
                {k[3:]: stored[k] for k in stored.files if k.startswith("in_")},
                {k[4:]: stored[k] for k in stored.files if k.startswith("out_")},
            )


def write_bundle(
    folder: Path,
    *,
    task: Task,
    model: bytes,
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
    check: tuple[Mapping[str, NDArray[np.float32]], Mapping[str, NDArray[np.float32]]],
    card: Mapping[str, Any],
    sequence: bool = False,
) -> Bundle:
    """
    Write a bundle folder and open it again.

    Parameters
    ----------
    check : (inputs, outputs)
        A few rows by name, and what the file gave for them: stored, and replayed by conformance tests.
    card : mapping
        ``config``, ``training``, ``method``, ``parent``, ``metrics`` and what else is known; sizes are added here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL_FILE).write_bytes(model)
    arrays: dict[str, Any] = {f"in_{k}": v for k, v in check[0].items()}
    arrays |= {f"out_{k}": v for k, v in check[1].items()}
    with (folder / CHECK_FILE).open("wb") as file:
        np.savez_compressed(file, **arrays)
    sizes = {
        "tflite_bytes": len(model),
        "gzip_bytes": len(gzip.compress(model, mtime=0)),
        **card.get("sizes", {}),
    }
    full = {
        "format": FORMAT, "task": task.name, "preprocessing": task.version, "sequence": sequence,
        "inputs": [s.entry() for s in inputs], "outputs": [s.entry() for s in outputs],
        **card, "sizes": sizes,
        "files": {n: _sha256((folder / n).read_bytes()) for n in (MODEL_FILE, CHECK_FILE)},
    }  # fmt: skip
    (folder / CARD_FILE).write_text(json.dumps(full, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return Bundle.open(folder)


def shipped(task: Task) -> Bundle:
    """Return the zoo's bundle of `task`."""
    return Bundle.open(ZOO / task.name.replace("-", "_"))


def _read_card(folder: Path) -> dict[str, Any]:
    path = folder / CARD_FILE
    if not path.is_file():
        raise BundleError(
            f"{folder} is not a bundle: it has no {CARD_FILE}; `wristwise run TASK --out {folder}` makes one"
        )
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise BundleError(f"{path} is not JSON (line {error.lineno}); fetch or rebuild the bundle") from error
    if not isinstance(card, dict):
        raise BundleError(f"{path} must hold one object, got {type(card).__name__}; fetch or rebuild the bundle")
    return card


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
