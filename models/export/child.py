"""The warm child process that converts, seen from its parent."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from typing import Any

from data.errors import WristwiseError
from models.export import worker


class ConversionError(WristwiseError, ValueError):
    """The model cannot be converted as asked."""


class Child:
    """One warm child process: importing TensorFlow costs five seconds, a small CNN then 0.3 s."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._chatter: Any = None

    def _start(self) -> subprocess.Popen[bytes]:
        environment = dict(os.environ, TF_USE_LEGACY_KERAS="1", TF_CPP_MIN_LOG_LEVEL="2", CUDA_VISIBLE_DEVICES="-1")
        self._chatter = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process that writes to it
        # -P: this folder must not be the child's import path, its module names are everyday words.
        process = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", worker.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._chatter,
            env=environment,
        )
        self._process, self._owner = process, os.getpid()
        assert process.stdout is not None
        try:
            worker.receive(process.stdout)
        except EOFError as error:
            said = self._last_words()
            self._drop()
            raise ConversionError(
                f"the conversion process did not start: {said}; install the training extra "
                "(tensorflow, tf_keras) in this environment"
            ) from error
        return process

    def _last_words(self) -> str:
        self._chatter.seek(0)
        lines = self._chatter.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "it said nothing"

    def _drop(self) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):  # it died with a request half written
                    stream.close()
        if process.poll() is None:
            process.kill()
        self._chatter.close()
        return process.wait()

    def ask(self, request: dict[str, Any]) -> tuple[str, Any]:
        """Send a request and wait; ("died", signal name) if the process did not survive it."""
        with self._lock:
            process = self._process
            if process is None or self._owner != os.getpid() or process.poll() is not None:
                self._process = process = self._start()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                worker.send(process.stdin, request)
                kind, value = worker.receive(process.stdout)
            except (EOFError, BrokenPipeError):
                code = process.wait()
                self._drop()
                return "died", signal.Signals(-code).name if code < 0 else f"exit code {code}"
            return kind, value

    def close(self) -> None:
        """End the process if this one started it."""
        with self._lock:
            if self._owner == os.getpid():
                self._drop()
