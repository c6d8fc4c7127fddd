"""What a network costs as a file, by a clock of your choice: this machine's, or a stated processor's."""

from collections.abc import Callable
from dataclasses import dataclass

from models.export.cost import CORTEX_M4F, CORTEX_M55, Core, cost
from models.export.measure import arena_bytes, latency_us, sizes

Clock = Callable[[bytes], float]  # .tflite file -> microseconds of one inference
BYTES_PER_WEIGHT = {"float32": 4.0, "float16": 2.0, "int8": 1.0, "weight_int8": 1.0}


@dataclass(frozen=True)
class Footprint:
    """
    What a network costs as a file: bytes, gzip bytes, microseconds, tflite-micro arena bytes.

    A prediction leaves what it does not know at nan; an arena is nan where tflite-micro refuses the file.
    """

    bytes: float
    gzip: float = float("nan")
    latency_us: float = float("nan")
    arena: float = float("nan")


def footprint(tflite: bytes, clock: Clock | None = None) -> Footprint:
    """Measure a file, its latency by a clock; default: LiteRT on this machine, one thread."""
    size = sizes(tflite)
    return Footprint(size.raw, size.gzip, (clock or latency_us)(tflite), _arena(tflite))


def predicted(core: Core) -> Clock:
    """Return the clock that reads a file's time on a stated processor from its operators (`models.export.cost`)."""

    def clock(tflite: bytes) -> float:
        return cost(tflite, core).latency_us

    return clock


# By the name that the command line takes; the predicted ones give the same answer on every machine.
CLOCKS: dict[str, Clock] = {
    "here": latency_us,
    "cortex-m4f": predicted(CORTEX_M4F),
    "cortex-m55": predicted(CORTEX_M55),
}


def _arena(tflite: bytes) -> float:
    from models.export.interpreters import LoadError

    try:
        return float(arena_bytes(tflite))
    except LoadError:
        return float("nan")
