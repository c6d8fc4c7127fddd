"""`wristwise compress` and `decompress`, `wristwise export` of a saved model, `wristwise gate` of any file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from data.errors import WristwiseError

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
TFLite = Annotated[Path, typer.Argument(help="A .tflite file.")]


class FileError(WristwiseError, OSError):
    """A file named on the command line cannot be read."""


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror or error}; check the path") from error


def _say(as_json: bool, entry: dict[str, Any], text: str) -> None:
    typer.echo(json.dumps(entry, indent=1) if as_json else text)


def compress(
    file: TFLite,
    out: Annotated[Path | None, typer.Option(help="Where to write; default: FILE.wwz, or FILE-decode.tflite.")] = None,
    bits: Annotated[int, typer.Option(help="Cluster weights to 2^bits values first; 0: change no weight.")] = 0,
    one_book: Annotated[bool, typer.Option("--one-book", help="With --bits: the same values in all tensors.")] = False,
    smallest: Annotated[bool, typer.Option("--smallest", help="Unpacking then takes ai-edge-litert.")] = False,
    form: Annotated[str, typer.Option(help="wwz (container), or decode: the form that tflite-micro runs.")] = "wwz",
    as_json: AsJson = False,
) -> None:
    """Deep Compression of a .tflite file: clusters, sparse runs and Huffman codes, back to the byte."""
    from models.compress.clustering import cluster_tflite
    from models.export.measure import sizes

    original = _read(file)
    tflite = cluster_tflite(original, bits, one_book=one_book) if bits else original
    if form == "wwz":
        from models.compress.pack import pack

        made, where = pack(tflite, smallest=smallest).data, out or file.with_suffix(".wwz")
    elif form == "decode":
        from models.compress.decode_op import to_decode

        made, where = to_decode(tflite).tflite, out or file.with_name(f"{file.stem}-decode.tflite")
    else:
        raise FileError(f"--form must be wwz or decode, got {form!r}")
    where.write_bytes(made)
    entry = {
        "file": str(file), "out": str(where), "form": form, "bits": bits, "bytes": len(original),
        "gzip_bytes": sizes(original).gzip, "compressed_bytes": len(made), "ratio": len(original) / len(made),
    }  # fmt: skip
    text = f"{where}: {len(made)} bytes, {entry['ratio']:.1f} times smaller than {len(original)}"
    _say(as_json, entry, f"{text} (gzip alone: {entry['gzip_bytes']})")


def decompress(
    file: Annotated[Path, typer.Argument(help="A .wwz file.")],
    out: Annotated[Path | None, typer.Option(help="Where to write; default: FILE.tflite.")] = None,
    max_bytes: Annotated[int, typer.Option(help="Largest result allowed.")] = 64 << 20,
    as_json: AsJson = False,
) -> None:
    """Give back, bit for bit, the .tflite file in a .wwz container; needs no TensorFlow."""
    from models.compress.container import unpack

    tflite = unpack(_read(file), max_bytes)
    where = out or file.with_suffix(".tflite")
    where.write_bytes(tflite)
    _say(as_json, {"file": str(file), "out": str(where), "bytes": len(tflite)}, f"{where}: {len(tflite)} bytes")


def gate(
    file: TFLite,
    model: Annotated[Path | None, typer.Option(help="The saved tf_keras model that the file was made from.")] = None,
    samples: Annotated[Path | None, typer.Option(help=".npz of input rows, one array an input.")] = None,
    runtimes: Annotated[str, typer.Option(help="Comma-separated; default: all installed.")] = "",
    out: Annotated[Path | None, typer.Option(help="Write the file here, its known faults cured.")] = None,
    as_json: AsJson = False,
) -> None:
    """Try a .tflite file in LiteRT, tf.lite and tflite-micro; refuse it if they differ (exit code 2)."""
    from models.export.gate import run_gate

    tflite = _read(file)
    keras, rows = (None, _load_rows(samples)) if model is None else _load(model, samples)
    chosen = tuple(name.strip() for name in runtimes.split(",") if name.strip())
    report = run_gate(tflite, keras, rows, runtimes=chosen or None)
    if out is not None and report.ok:
        out.write_bytes(report.tflite)
    lines = [f"cured: {fault}" for fault in report.faults]
    lines += [f"{result.runtime:<17} {result.problem or 'agrees' + _figures(result)}" for result in report.runtimes]
    _say(as_json, report.entry(), "\n".join(lines))
    report.raise_if_refused()


def _figures(result: Any) -> str:
    """Return what one runtime measured, in words."""
    parts = [f" to {result.difference:.2g} of the range"]
    if result.model_difference == result.model_difference:
        parts.append(f"{result.model_difference:.2g} from the model")
    if result.leaks:
        parts.append("keeps state between rows: reset it")
    return ", ".join(parts)


def export(
    model: Annotated[Path, typer.Argument(help="A saved tf_keras model (.keras, .h5).")],
    calibration: Annotated[Path | None, typer.Option(help=".npz of input rows, needed for int8.")] = None,
    mode: Annotated[str, typer.Option(help="float32, float16, int8 or weight_int8.")] = "int8",
    io: Annotated[str, typer.Option(help="For int8: int8 or float32 input and output.")] = "int8",
    out: Annotated[Path, typer.Option(help="Folder for .tflite, .wwz, C array and report.")] = Path("exported"),
    name: Annotated[str, typer.Option(help="Name of the files and of the C array.")] = "model",
    servers_only: Annotated[bool, typer.Option("--servers-only", help="Do without tflite-micro.")] = False,
    as_json: AsJson = False,
) -> None:
    """Convert a saved model, send it through the gate, and write .tflite, .wwz, .h, .cc and a size report."""
    from models.compress.pack import pack
    from models.export.c_array import to_c_array
    from models.export.convert import to_tflite
    from models.export.gate import run_gate
    from models.export.interpreters import available
    from models.export.report import size_report

    keras, rows = _load(model, calibration)
    chosen: Any = {"mode": mode, "io": io}  # the converter judges them: its message names what there is
    tflite = to_tflite(keras, representative=rows, **chosen)
    runtimes = tuple(one for one in available() if not (servers_only and one == "micro"))
    report = run_gate(tflite, keras, _some(rows), runtimes=runtimes)
    report.raise_if_refused()
    sizes = size_report(report.tflite)
    to_c_array(report.tflite, name, sizes.arena_bytes).save(out)
    packed = pack(report.tflite).data
    (out / f"{name}.tflite").write_bytes(report.tflite)
    (out / f"{name}.wwz").write_bytes(packed)
    entry = {"mode": mode, "io": io, "wwz_bytes": len(packed), "gate": report.entry(), **sizes.entry()}
    (out / "report.json").write_text(json.dumps(entry, indent=1) + "\n", encoding="utf-8")
    (out / "report.md").write_text(f"# {name}, {mode}\n\n{sizes.table()}\n", encoding="utf-8")
    written = f"written to {out}: {name}.tflite, .wwz ({len(packed)} bytes), .h, .cc, report"
    _say(as_json, entry, f"{sizes.table()}\n\n{written}")


def _some(rows: list[Any] | None) -> list[Any] | None:
    """Return up to 32 rows, evenly taken, for the gate."""
    return None if rows is None else [array[:: max(1, len(array) // 32)][:32] for array in rows]


def _load(path: Path, calibration: Path | None) -> tuple[Any, list[Any] | None]:
    """Return a saved model and its calibration rows in the order of its inputs."""
    from models.pruning.calibration import read_calibration
    from models.pruning.saved import load_model
    from models.tensorflow_setup import quiet

    quiet()
    model = load_model(path)
    return model, None if calibration is None else read_calibration(calibration, model).rows_for(model)


def _load_rows(path: Path | None) -> dict[str, Any] | None:
    """Return the arrays of an .npz by name."""
    if path is None:
        return None
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError) as error:
        raise FileError(f"{path} cannot be read as .npz ({error}); write it with numpy.savez(path, x=rows)") from error
