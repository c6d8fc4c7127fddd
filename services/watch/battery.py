"""How long the charge lasts: a stated model, not a measurement.

The figures are round numbers from data sheets of parts that watches use, and each is a parameter:

- PPG: two green LEDs at 10 mA for 60 us each sample, which at 64 Hz is 77 uA, and a front end of
  about 30 uA (MAX86141 data sheet, typical conditions).
- Acceleration: 13 uA at 32 Hz in low-power mode (BMI270 data sheet); gyroscope 500 uA.
- Radio: Bluetooth LE at about 8 mA while it sends, 100 kB/s of payload (nRF52840 at 0 dBm, 2M PHY).
- Processor: 3.3 mA at 64 MHz from flash (nRF52840); a window of about 1 M multiply-adds takes some 25 ms there
  (CMSIS-NN does about 40 M a second), filters included.
- Everything else (display off, clock, leakage): 60 uA. Cell: 200 mAh.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class PowerModel:
    """Currents in microamperes and charges in microcoulombs; see the module's text for their sources."""

    cell_mah: float = 200.0
    base_ua: float = 60.0
    sensor_ua: dict[str, float] = field(
        default_factory=lambda: {"ppg": 107.0, "acc": 13.0, "gyro": 500.0, "ecg": 150.0}
    )
    radio_uc_per_byte: float = 0.08
    radio_uc_per_request: float = 400.0
    mcu_uc_per_ms: float = 3.3
    mcu_ms_per_window: float = 25.0


class Battery:
    """Charge that sensing, sending and inferring draw from.

    Parameters
    ----------
    model : PowerModel
        What each act costs.
    """

    def __init__(self, model: PowerModel | None = None) -> None:
        self.model = model or PowerModel()
        self.spent_uc = {"base": 0.0, "sensors": 0.0, "radio": 0.0, "mcu": 0.0}

    def sense(self, streams: tuple[str, ...], seconds: float) -> None:
        """Account for `streams` being on for `seconds`."""
        self.spent_uc["base"] += self.model.base_ua * seconds
        self.spent_uc["sensors"] += sum(self.model.sensor_ua.get(name, 0.0) for name in streams) * seconds

    def send(self, n_bytes: int) -> None:
        """Account for one request of `n_bytes`."""
        self.spent_uc["radio"] += self.model.radio_uc_per_request + self.model.radio_uc_per_byte * n_bytes

    def infer(self, windows: int) -> None:
        """Account for the processor being awake for `windows` windows of inference."""
        self.spent_uc["mcu"] += self.model.mcu_uc_per_ms * self.model.mcu_ms_per_window * windows

    @property
    def level(self) -> float:
        """Charge left, from 1 (full) to 0 (empty)."""
        capacity_uc = self.model.cell_mah * 3.6e6
        return max(0.0, 1.0 - sum(self.spent_uc.values()) / capacity_uc)

    def days(self, elapsed_s: float) -> float:
        """Return how many days a full cell lasts at the mean draw of `elapsed_s` seconds; inf if unused."""
        spent = sum(self.spent_uc.values())
        if spent <= 0 or elapsed_s <= 0:
            return float("inf")
        return self.model.cell_mah * 3.6e6 / (spent / elapsed_s) / 86400.0
