"""Every training recipe, by the name of its task. To add one: its module, and its row here."""

from __future__ import annotations

from data.errors import TaskError
from models.networks import activity, ecg_rhythm, fall_detection, heart_rate, sleep_staging
from models.training.recipe import Recipe

_ALL: tuple[Recipe, ...] = (
    heart_rate.RECIPE,
    fall_detection.RECIPE,
    activity.RECIPE,
    sleep_staging.RECIPE,
    ecg_rhythm.RECIPE,
)
RECIPES = {recipe.task.name: recipe for recipe in _ALL}
VARIANTS: dict[str, Recipe] = {heart_rate.SMALL.name: heart_rate.SMALL}  # other sizes of a task's network


def recipe(task_name: str) -> Recipe:
    """
    Return the recipe of a task, or of a variant of one.

    Raises
    ------
    TaskError
        If the task is trained by nothing (a classical task), or does not exist.
    """
    if task_name in VARIANTS:
        return VARIANTS[task_name]
    if task_name not in RECIPES:
        raise TaskError(f"task {task_name!r} has no network to train; those that have: {', '.join(RECIPES)}")
    return RECIPES[task_name]
