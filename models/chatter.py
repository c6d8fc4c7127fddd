"""Keep start-up chatter of native libraries from the person at the terminal, and lose nothing else."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator

# Printed by C++ straight to file descriptor 2, before or in spite of TF_CPP_MIN_LOG_LEVEL; none of it asks for action.
_CHATTER = re.compile(
    rb"All log messages before absl::InitializeLog|oneDNN custom operations|Could not find cuda drivers"
    rb"|failed call to cuInit|Created TensorFlow Lite XNNPACK delegate|TensorFlow binary is optimized to use"
    rb"|To enable the following instructions|computation_placer|Unable to register cu"
)

# The descriptor belongs to the whole process: two threads that swapped it in turn would leave it pointing at a file
# that is gone.
_one_at_a_time = threading.Lock()


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """
    Hold back what is written to the process's standard error, then let through all but known chatter.

    What other threads write meanwhile is let through too, at the end of the block.
    """
    with _one_at_a_time, contextlib.ExitStack() as open_files:
        try:
            kept = os.dup(2)  # before the file below, which would else be given the number 2 itself
        except OSError:  # a service started with standard error closed
            yield
            return
        held = open_files.enter_context(tempfile.TemporaryFile())
        sys.stderr.flush()
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            for line in held:
                if not _CHATTER.search(line):
                    os.write(2, line)
