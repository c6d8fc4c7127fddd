"""A person's data as a zip: everything as Parquet, what others understand as FHIR and Open mHealth."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterable
from typing import IO, Any

import numpy as np
from sqlalchemy import Connection, Row

from data.errors import MissingExtraError
from services.store import intake, people
from services.store.accounts import user_name
from services.store.cipher import Cipher
from services.store.records import Record, describe
from services.sync.fields import from_us
from services.sync.health_formats import fhir_observations, open_mhealth

README = """\
account.json          your account, your devices, and who read what (times in microseconds of UTC)
records.parquet       everything that was stored or computed: one row a record
fhir.ndjson           heart rate, sleep, steps as FHIR R4 Observations, one a line
openmhealth.ndjson    the same as Open mHealth / IEEE 1752.1 data points
samples/*.parquet     what the sensors sent: time since the watch's boot, and one column a channel
"""


def write_export(conn: Connection, user_id: int, stream: IO[bytes], cipher: Cipher) -> None:
    """
    Write the zip to `stream`, page by page: a year of samples needs no more memory than a page.

    Raises
    ------
    MissingExtraError
        If the extra ``export`` is not installed.
    """
    subject = user_name(user_id)
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", README)
        archive.writestr("account.json", json.dumps(people.account(conn, user_id), indent=1))
        _write_records(archive, conn, user_id)
        for name, convert in (("fhir.ndjson", fhir_observations), ("openmhealth.ndjson", open_mhealth)):
            _write_lines(archive, name, _converted(conn, user_id, subject, convert))
        _write_samples(archive, conn, user_id, cipher)


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingExtraError("export as Parquet needs pyarrow: pip install 'wristwise[export]'") from error
    return pyarrow, parquet


def _converted(
    conn: Connection, user_id: int, subject: str, convert: Callable[[Iterable[Record], str], Iterable[dict[str, Any]]]
) -> Iterable[dict[str, Any]]:
    for page in people.all_records(conn, user_id):
        yield from convert(page, subject)


def _write_lines(archive: zipfile.ZipFile, name: str, lines: Iterable[dict[str, Any]]) -> None:
    with archive.open(name, "w") as file:
        for line in lines:
            file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")


def _write_records(archive: zipfile.ZipFile, conn: Connection, user_id: int) -> None:
    arrow, parquet = _arrow()
    schema = arrow.schema(
        [
            ("id", arrow.string()), ("kind", arrow.string()), ("start", arrow.timestamp("us", "UTC")),
            ("end", arrow.timestamp("us", "UTC")), ("utc_offset_s", arrow.int32()), ("value", arrow.float64()),
            ("uncertainty", arrow.float64()), ("quality", arrow.float64()), ("data", arrow.string()),
            ("device_id", arrow.string()), ("source", arrow.string()), ("model_version", arrow.string()),
            ("client_record_id", arrow.string()), ("client_record_version", arrow.int64()),
        ]
    )  # fmt: skip
    with archive.open("records.parquet", "w", force_zip64=True) as file, parquet.ParquetWriter(file, schema) as writer:
        for page in people.all_records(conn, user_id):
            rows = [_record_row(r) for r in page]
            writer.write_table(arrow.Table.from_pylist(rows, schema))


def _record_row(record: Record) -> dict[str, Any]:
    values = describe(record)
    return {
        **{k: v for k, v in values.items() if k not in ("id", "start_us", "end_us", "data", "unit", "deleted")},
        "id": record.id.hex(),
        "start": record.start_us,
        "end": record.end_us,
        "data": json.dumps(dict(record.data)),
    }


def _write_samples(archive: zipfile.ZipFile, conn: Connection, user_id: int, cipher: Cipher) -> None:
    """One file a stream and set of channels: a watch may change what it sends."""
    arrow, parquet = _arrow()
    writer: Any = None
    file: Any = None
    current: tuple[Any, ...] | None = None
    number = 0
    for stream, row in people.all_chunks(conn, user_id):
        names = tuple(json.loads(row.channels))
        if current != (stream.stream_no, names):
            _close(writer, file)
            number += 1
            schema = arrow.schema([("t_us", arrow.int64()), *((n, arrow.float32()) for n in names)])
            schema = schema.with_metadata({"device_id": stream.device_id, "boot_id": stream.boot_id})
            name = f"samples/{number:04d}_{stream.boot_id}_{stream.stream}.parquet"
            file = archive.open(name, "w", force_zip64=True)
            writer = parquet.ParquetWriter(file, schema, compression="zstd")
            current = (stream.stream_no, names)
        writer.write_table(arrow.table(_columns(row, names, cipher), schema=writer.schema))
    _close(writer, file)


def _close(writer: Any, file: Any) -> None:
    if writer is not None:
        writer.close()
        file.close()


def _columns(row: Row[Any], names: tuple[str, ...], cipher: Cipher) -> dict[str, Any]:
    samples = intake.unpack(row, cipher)
    times = row.t0_us + np.round(np.arange(row.n) * 1e6 / row.rate_hz).astype(np.int64)
    return {"t_us": times, **{name: samples[:, i] for i, name in enumerate(names)}}


def export_name(now_us: int) -> str:
    """Return a name for the zip."""
    return f"wristwise-{from_us(now_us)[:10]}.zip"
