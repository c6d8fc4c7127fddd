"""Every task, by name. To add one: its module, and its row here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from data.errors import TaskError
from pipelines import activity, beats, ecg_rhythm, fall_detection, heart_rate, sleep_staging, steps
from pipelines.task import Task


class Registry(Mapping[str, Task]):
    """Tasks by name, in the order given; refuses two of one name."""

    def __init__(self, tasks: tuple[Task, ...]) -> None:
        self._tasks: dict[str, Task] = {}
        for task in tasks:
            if task.name in self._tasks:
                raise TaskError(f"two tasks are named {task.name!r}; rename one in pipelines/registry.py")
            self._tasks[task.name] = task

    def __getitem__(self, name: str) -> Task:
        # Folders and Python names have underscores where the command line has hyphens: take both.
        key = name.replace("_", "-")
        if key not in self._tasks:
            raise TaskError(f"there is no task {name!r}; there are: {', '.join(self._tasks)}")
        return self._tasks[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)


TASKS = Registry(
    (heart_rate.TASK, beats.TASK, ecg_rhythm.TASK, sleep_staging.TASK, fall_detection.TASK, activity.TASK, steps.TASK)
)
