"""How figures are written: in the wearer's language and units; what is unknown is a dash."""

from __future__ import annotations

from pipelines.insights.energy import KJ_PER_KCAL, energy_kcal
from services.insight.chosen import KG_PER_LB, Chosen
from services.page.catalogue import Translate

NONE = "–"


class Wording:
    """
    Figures as words.

    Parameters
    ----------
    t : callable
        Words of a language.
    chosen : Chosen
        The wearer's weight and units.
    """

    def __init__(self, t: Translate, chosen: Chosen) -> None:
        self._t, self._chosen = t, chosen

    def number(self, value: float | None, digits: int = 0) -> str:
        """Return a number with so many decimals."""
        return NONE if value is None else f"{value:,.{digits}f}"

    def duration(self, minutes: float | None) -> str:
        """Return minutes as hours and minutes."""
        if minutes is None:
            return NONE
        whole = round(minutes)
        if whole < 60:
            return f"{whole} {self._t('unit.min')}"
        return self._t("unit.h_min", h=whole // 60, m=whole % 60)

    def energy(self, met_min: float | None) -> str:
        """Return MET-minutes in the wearer's unit; without a weight they stay what they are."""
        if met_min is None:
            return NONE
        if self._chosen.weight_kg is None:
            return f"{met_min:,.0f} {self._t('unit.met_min')}"
        kcal = energy_kcal(met_min, self._chosen.weight_kg)
        return f"{KJ_PER_KCAL * kcal:,.0f} kJ" if self._chosen.kilojoules else f"{kcal:,.0f} kcal"

    def weight(self) -> str:
        """Return the wearer's weight in the unit shown, without it: what the field of a form holds."""
        kg = self._chosen.weight_kg
        return "" if kg is None else f"{kg / KG_PER_LB if self._chosen.pounds else kg:.1f}"

    def measure(self, name: str, value: float | None) -> str:
        """Return a figure of a `Day` with its unit."""
        if value is None:
            return NONE
        if name in ("sleep_min", "sedentary_min"):
            return self.duration(value)
        if name == "bedtime_min":
            minute = round(value + 720) % 1440
            return f"{minute // 60:02d}:{minute % 60:02d}"
        if name == "sleep_efficiency":
            return f"{100 * min(value, 1.0):.0f} %"
        if name == "steps":
            return f"{value:,.0f}"
        if name == "energy_met_min":
            return self.energy(value)
        return f"{value:.0f} {self._t('unit.' + name)}"

    def span(self, name: str, low: float, high: float) -> str:
        """Return a range of a measure: the unit once, and nothing below zero where there is no such thing."""
        ends = [self.measure(name, max(low, 0.0) if name != "bedtime_min" else low), self.measure(name, high)]
        number, _, unit = ends[0].rpartition(" ")
        if number and name not in ("sleep_min", "sedentary_min") and ends[1].endswith(f" {unit}"):
            ends[0] = number
        return " – ".join(ends)

    def night(self, value: float | None, unit: str) -> str:
        """Return a figure of a night."""
        if value is None:
            return NONE
        if unit == "duration":
            return self.duration(value)
        if unit == "percent":
            return f"{100 * value:.0f} %"
        words = {"minutes": "unit.min", "bpm": "unit.bpm", "ms": "unit.rmssd_ms"}.get(unit)
        return f"{value:.0f} {self._t(words)}" if words else f"{value:.0f}"
