"""No word of the page is missing in a language: not one that a template names, not one that is put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest
from flask.testing import FlaskClient

from pipelines.activities import CLASSES
from pipelines.insights.context import Context
from pipelines.insights.day import MEASURES
from pipelines.insights.energy import METS
from pipelines.insights.plan import next_week
from pipelines.insights.reminders import KINDS
from pipelines.insights.rules import STRAYS, TOGETHERS, WEEKLY_GOALS
from pipelines.insights.zones import ZONE_NAMES
from services.page import catalogue
from services.page.blueprint import VIEWS
from services.page.views.events import ACTIONS
from services.page.views.events import KINDS as EVENTS
from services.page.views.night import FIGURES, FULL_SCORE
from services.store.rollouts import State
from tests.services.page.test_views import VIEWS as PATHS

# What a card measures is named by whoever trains the model: a name that has no words yet is shown as it is.
FREE = ("metric.", "group.")
FAMILIES: Mapping[str, Iterable[str]] = {
    "activity": {*CLASSES, *METS}, "context": list(Context), "measure": MEASURES, "zone": ZONE_NAMES,
    "reminder": [k.name for k in KINDS], "remind": [k.name for k in KINDS], "nav": VIEWS,
    "finding": [r.name for r in (*STRAYS, *TOGETHERS)], "goal": [g.name for g in WEEKLY_GOALS],
    "plan": {next_week(done, z).why for done in (0, 200, 900) for z in (None, -2, -0.5, 1)},
    "event": EVENTS, "state": [*ACTIONS, "irregular"],
    "night": [name for name, _ in FIGURES], "meaning": [name for name, _ in FIGURES], "score": FULL_SCORE,
    "rollout": [state.replace(" ", "_") for state in State.__args__],  # type: ignore[attr-defined]
    "zones": ["max_you", "max_measured", "max_age", "max_guess"],
    "reason": ["sedentary_min", "not_worn_min", "worn_min", "bedtime", "battery"],
    "weekday": map(str, range(7)), "month": map(str, range(1, 13)),
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_every_word_that_is_put_together_is_in_the_catalogue(family: str) -> None:
    assert [name for name in FAMILIES[family] if f"{family}.{name}" not in catalogue.messages()] == []


@pytest.mark.parametrize("language", catalogue.LANGUAGES)
def test_no_view_falls_back_on_a_key(owner: FlaskClient, monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    missing: set[str] = set()

    class Heard(dict[str, Mapping[str, str]]):
        def get(self, key: str, default: object = None) -> object:  # type: ignore[override]
            if key not in self:
                missing.add(key)
            return super().get(key)

    heard = Heard(catalogue.messages())
    monkeypatch.setattr(catalogue, "messages", lambda: heard)
    for path in (*PATHS, "/day?date=2020-01-01", "/night?date=2020-01-01"):
        assert owner.get(f"{path}{'&' if '?' in path else '?'}lang={language}").status_code == 200
    assert {key for key in missing if not key.startswith(FREE)} == set()


def test_no_chinese_message_was_left_in_english() -> None:
    same = {key for key, entry in catalogue.messages().items() if entry["en"] == entry["zh"]}
    assert same <= {"unit.sleep_efficiency", "stage.R", "metric.f1"}
