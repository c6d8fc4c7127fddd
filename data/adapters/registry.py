"""Every adapter, by name. To add one: its module, and its row here."""

from __future__ import annotations

from data.adapters import (
    afdb,
    bami1,
    challenge2017,
    mitdb,
    nsr2db,
    sleep_accel,
    smartfallmm,
    spc2015,
    stress_predict,
    umafall,
    weda_fall,
    wisdm,
    wrist,
)
from data.adapters.adapter import Adapter
from data.errors import DataSetError

_ALL: tuple[Adapter, ...] = (
    wrist.ADAPTER,
    spc2015.ADAPTER,
    bami1.ADAPTER,
    sleep_accel.ADAPTER,
    weda_fall.ADAPTER,
    smartfallmm.ADAPTER,
    wisdm.ADAPTER,
    stress_predict.ADAPTER,
    umafall.ADAPTER,
    mitdb.ADAPTER,
    challenge2017.ADAPTER,
    afdb.ADAPTER,
    nsr2db.ADAPTER,
)
ADAPTERS = {entry.name: entry for entry in _ALL}


def adapter(name: str) -> Adapter:
    """
    Return the adapter `name`.

    Raises
    ------
    DataSetError
        If there is none; lists those there are.
    """
    if name not in ADAPTERS:
        raise DataSetError(f"there is no adapter for data set {name!r}; there are: {', '.join(ADAPTERS)}")
    return ADAPTERS[name]
