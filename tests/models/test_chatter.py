import os

import pytest

from models.chatter import without_chatter


def test_known_chatter_of_native_libraries_is_held_back_and_every_other_line_comes_through(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with without_chatter():
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\nERROR: node 3 failed to prepare\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "ERROR: node 3 failed to prepare\nafter\n"


def test_what_was_said_before_a_failure_is_still_said(capfd: pytest.CaptureFixture[str]) -> None:
    def fails() -> None:
        with without_chatter():
            os.write(2, b"the reason\n")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fails()
    assert capfd.readouterr().err == "the reason\n"


def test_a_closed_standard_error_is_no_obstacle_and_stays_closed() -> None:
    kept = os.dup(2)
    os.close(2)
    entered = False
    try:
        with without_chatter():
            entered = True
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(2)
    finally:
        os.dup2(kept, 2)
        os.close(kept)
    assert entered
