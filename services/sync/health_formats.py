"""Records as others read them: FHIR R4 Observations with LOINC codes, and IEEE 1752.1 / Open mHealth data points."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from data.errors import MissingExtraError
from services.store.records import Record
from services.sync.fields import from_us


@dataclass(frozen=True)
class Code:
    """How a kind of record is named elsewhere."""

    loinc: str
    display: str
    unit: str
    ucum: str
    schema: str  # of Open mHealth or IEEE 1752.1
    schema_version: str
    body: str


CODES = MappingProxyType(
    {
        "heart_rate": Code("8867-4", "Heart rate", "beats/min", "/min", "heart-rate", "2.0", "heart_rate"),
        "resting_heart_rate": Code(
            "40443-4", "Heart rate --resting", "beats/min", "/min", "heart-rate", "2.0", "heart_rate"
        ),
        "steps": Code(
            "41950-7", "Number of steps in 24 hour Measured", "steps", "{steps}", "step-count", "3.0", "step_count"
        ),
        "sleep": Code("93832-4", "Sleep duration", "min", "min", "total-sleep-time", "1.0", "total_sleep_time"),
        # Two measures, never one for the other: LOINC has a code for SDNN only, so RMSSD goes without one.
        "sdnn": Code("80404-7", "R-R interval.standard deviation (Heart rate variability)", "ms", "ms",
                     "heart-rate-variability", "1.0", "sdnn"),
        "rmssd": Code("", "", "ms", "ms", "heart-rate-variability", "1.0", "rmssd"),
    }
)  # fmt: skip
# Neither Open mHealth nor IEEE 1752.1 has a schema for these.
_OWN_SCHEMA = frozenset({"sdnn", "rmssd"})


def fhir_observations(found: Iterable[Record], subject: str) -> Iterable[dict[str, Any]]:
    """
    Yield each record that has a code as a FHIR R4 Observation, validated by fhir.resources.

    Raises
    ------
    MissingExtraError
        If the extra ``export`` is not installed.
    """
    try:
        from fhir.resources.R4B.observation import Observation
    except ImportError as error:
        raise MissingExtraError("export as FHIR needs fhir.resources: pip install 'wristwise[export]'") from error
    for record in found:
        code = CODES.get(record.kind)
        if code is None or record.value is None:
            continue
        # R4B differs from R4 in other resources only: an Observation that is valid in one is valid in both.
        yield Observation(**_observation(record, code, subject)).model_dump(mode="json", exclude_none=True)


def _observation(record: Record, code: Code, subject: str) -> dict[str, Any]:
    coding = [{"system": "http://loinc.org", "code": code.loinc, "display": code.display}] if code.loinc else []
    category = "vital-signs" if "heart_rate" in record.kind else "activity"
    return {
        "resourceType": "Observation", "id": record.id.hex(), "status": "final",
        "category": [{"coding": [
            {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": category}
        ]}],
        "code": {"coding": coding or None, "text": record.kind},
        "subject": {"reference": f"Patient/{subject}"},
        "effectivePeriod": {"start": from_us(record.start_us), "end": from_us(record.end_us)},
        "device": {"display": record.device_id or "companion"},
        "method": {"text": f"{record.source} {record.model_version or ''}".strip()},
        "valueQuantity": {
            "value": record.value, "unit": code.unit, "system": "http://unitsofmeasure.org", "code": code.ucum
        },
    }  # fmt: skip


def open_mhealth(found: Iterable[Record], subject: str) -> Iterable[dict[str, Any]]:
    """Yield each record that has a schema as a data point of Open mHealth or IEEE 1752.1."""
    for record in found:
        code = CODES.get(record.kind)
        if code is None or record.value is None:
            continue
        namespace = "wristwise" if record.kind in _OWN_SCHEMA else "ieee" if record.kind == "sleep" else "omh"
        value: Any = record.value if code.unit == "steps" else {"value": record.value, "unit": code.unit}
        yield {
            "header": {
                "uuid": str(uuid.UUID(bytes=record.id)), "user_id": subject,
                "schema_id": {"namespace": namespace, "name": code.schema, "version": code.schema_version},
                "source_creation_date_time": from_us(record.end_us), "modality": "sensed",
                "external_datasheets": [{"datasheet_type": "manufacturer", "datasheet_reference": record.source}],
            },
            "body": {
                code.body: value,
                "effective_time_frame": {
                    "time_interval": {
                        "start_date_time": from_us(record.start_us), "end_date_time": from_us(record.end_us)
                    }
                },
            },
        }  # fmt: skip
