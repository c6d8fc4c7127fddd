"""Splitting by subject, always: nobody is in training and test at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from data.errors import DataSetError


def subject_folds(
    subjects: Sequence[str] | NDArray[np.str_], n_folds: int, seed: int = 0, strata: Sequence[str] | None = None
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """
    Yield (train, test) masks over rows; each subject is tested exactly once.

    Parameters
    ----------
    subjects : sequence of str, shape (n,)
        Whose row it is.
    n_folds : int
        At most the number of subjects; that number is leave-one-subject-out.
    seed : int, default=0
        Shuffles which subjects share a fold.
    strata : sequence of str, shape (n,), optional
        What each row's subject is of (set, age): every fold gets an equal part of each stratum.

    Raises
    ------
    DataSetError
        If there are fewer subjects than folds, or fewer than two.
    """
    rows = np.asarray(subjects)
    unique = np.unique(rows)
    if n_folds < 2 or unique.size < n_folds:
        raise DataSetError(
            f"{n_folds} folds by subject need 2 to {unique.size} folds (there are {unique.size} subjects); "
            "lower the number of folds, or add recordings"
        )
    order = np.random.default_rng(seed).permutation(unique)
    if strata is not None:
        of = dict(zip(rows[::-1].tolist(), list(strata)[::-1], strict=True))  # a subject's first row decides
        order = np.array(sorted(order, key=lambda subject: of[subject]))  # stable: shuffled within each stratum
    for fold in range(n_folds):
        test = np.isin(rows, order[fold::n_folds])
        yield ~test, test
