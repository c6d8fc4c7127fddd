"""What every adapter declares, and how one is asked for its recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from data.errors import DataSetError
from data.recording import Recording


@dataclass(frozen=True)
class Adapter:
    """
    One public data set.

    Parameters
    ----------
    name : str
        As typed on the command line, and the folder's name below `WRISTWISE_DATA`.
    title, url, licence : str
        `licence` as far as known, in the source's words.
    open_licence : bool
        Whether it may be used beyond academic work; `--open-data` trains without the others.
    reader : callable
        (folder) -> iterator of Recording, lazily, sorted by id. May raise `RecordingError`.
    marker : str
        A glob below the folder that matches when the set is there.
    physionet : str, default=""
        Path on PhysioNet ("wrist/1.0.0") where `wristwise data fetch` can get it.
    """

    name: str
    title: str
    url: str
    licence: str
    open_licence: bool
    reader: Callable[[Path], Iterator[Recording]]
    marker: str
    physionet: str = ""

    def present(self, root: Path) -> bool:
        """Tell whether the set stands below `root`."""
        return next((root / self.name).glob(self.marker), None) is not None

    def read(self, root: Path) -> Iterator[Recording]:
        """
        Yield the recordings below `root` / name.

        Raises
        ------
        DataSetError
            If the set is not there; says where to get it.
        """
        if not self.present(root):
            how = f"wristwise data fetch {self.name}" if self.physionet else f"download it from {self.url}"
            raise DataSetError(
                f"data set {self.name!r} is not in {root} (nothing matches {self.name}/{self.marker}); "
                f"{how}, or set WRISTWISE_DATA to the folder that holds it"
            )
        return self.reader(root / self.name)
