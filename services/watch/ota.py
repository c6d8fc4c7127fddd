"""Models over the air: ask, verify, try, and only then use; what turns out wrong is taken back and not taken again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from data.errors import BundleError, WristwiseError
from models.bundle import MODEL_FILE, Bundle
from models.runtime import Model, RuntimeName
from pipelines.registry import TASKS
from services.watch.link import Answer

# A watch fetches in parts that fit its radio's patience; a part that arrived is not fetched again.
PART_BYTES = 16_384
TAKEN_BACK = "it was taken back on the watch"


class ModelRefused(WristwiseError, ValueError):
    """A model that was offered is not one that this watch will run; the one it has stays."""


@dataclass(frozen=True)
class Offer:
    """What the server says of a model, before a byte of it is fetched."""

    task: str
    device_class: str
    version: str
    sha256: str
    signature: str
    url: str
    card: Mapping[str, Any]

    @property
    def signed_text(self) -> bytes:
        """What the signature covers: the file, and what it is meant for."""
        return f"wristwise-model/1\n{self.task}\n{self.device_class}\n{self.version}\n{self.sha256}\n".encode()


class ModelStore:
    """
    The models on a watch.

    Parameters
    ----------
    folder : Path
        Its flash; one folder a task.
    public_key : str
        The maker's Ed25519 key, 32 bytes in hexadecimal, built into the firmware: a server cannot change it.
    get : callable
        GET of a path with headers, authorised as this watch (`Uplink.get`).
    device_class : str
        What the server is told that this is.
    memory_bytes : int, optional
        Flash and scratch memory for one model.
    runtime : {"exact", "micro", "litert"}
        What tries a new model before it is used.
    """

    def __init__(
        self,
        folder: Path,
        public_key: str,
        get: Callable[[str, Mapping[str, str]], Answer],
        *,
        device_class: str = "any",
        memory_bytes: int | None = None,
        runtime: RuntimeName = "exact",
    ) -> None:
        try:
            self._key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        except ValueError as error:
            raise ModelRefused(
                f"the key must be 64 hexadecimal digits (Ed25519). Got {len(public_key)} instead."
            ) from error
        self._folder, self._get = folder, get
        self._device_class, self._memory_bytes, self._runtime = device_class, memory_bytes, runtime

    def version(self, task: str) -> str | None:
        """Return the version in use, or None."""
        found = self._state(task).get("current")
        return None if found is None else str(found)

    def model(self, task: str) -> Model | None:
        """Return the model in use, ready to predict, or None."""
        version = self.version(task)
        return None if version is None else Model(self._bundle(task, version), self._runtime)

    def update(self, task: str) -> bool:
        """Ask for the model of `task` that this watch shall have, and take it; return whether it is a new one.

        Raises
        ------
        ModelRefused
            If its signature, hash, preprocessing or trial is wrong. The version is not asked for again.
        LinkDown
            If the connection broke; the next try goes on where this one ended.
        """
        offer = self._offer(task)
        state = self._state(task)
        if offer is None or offer.version == state.get("current") or offer.version in self.refused(task):
            return False
        try:
            self._verify(offer)
            data = self._fetch(offer)
            if data is None:
                return False
            self._try(offer, data)
        except (ModelRefused, BundleError) as error:
            self._keep(task, {**state, "refused": {**self.refused(task), offer.version: str(error)}})
            raise ModelRefused(f"model {offer.version} of {task} is refused, the old one stays: {error}") from error
        self._keep(task, {**state, "current": offer.version, "previous": state.get("current")})
        return True

    def roll_back(self, task: str) -> str | None:
        """Go back to the version before, never to take the present one again; return what is in use now."""
        state = self._state(task)
        refused = {**self.refused(task), **({state["current"]: TAKEN_BACK} if state.get("current") else {})}
        self._keep(task, {"current": state.get("previous"), "previous": None, "refused": refused})
        return self.version(task)

    def refused(self, task: str) -> dict[str, str]:
        """Return the versions that are never taken again, with the reasons."""
        return dict(self._state(task).get("refused", {}))

    def _offer(self, task: str) -> Offer | None:
        query: dict[str, Any] = {"device_class": self._device_class}
        if self._memory_bytes is not None:
            query["memory_bytes"] = self._memory_bytes
        answer = self._get(f"/v1/models/{task}?{urlencode(query)}", {"Accept": "application/json"})
        if answer.status != 200:
            return None
        body = answer.value
        wanted = ("task", "device_class", "version", "sha256", "signature", "url", "card")
        if not isinstance(body, dict) or not all(name in body for name in wanted) or body["task"] != task:
            return None
        return Offer(**{name: body[name] for name in wanted})

    def _verify(self, offer: Offer) -> None:
        if offer.device_class not in (self._device_class, "any"):
            raise ModelRefused(f"it is for devices of class {offer.device_class!r}, this is {self._device_class!r}")
        try:
            self._key.verify(bytes.fromhex(offer.signature), offer.signed_text)
        except (InvalidSignature, ValueError) as error:
            raise ModelRefused("its signature is not the maker's") from error

    def _fetch(self, offer: Offer) -> bytes | None:
        """Fetch the file in parts, from where the last try ended; None if the server took it back meanwhile."""
        folder = self._folder / offer.task / offer.version
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / "part"
        while True:
            have = part.stat().st_size if part.exists() else 0
            # If-Range: should the file have changed, the whole new one comes, and its hash will not fit.
            headers = {"Range": f"bytes={have}-{have + PART_BYTES - 1}", "If-Range": f'"{offer.sha256}"'}
            answer = self._get(offer.url, headers)
            if answer.status not in (200, 206):
                return None
            with part.open("wb" if answer.status == 200 else "ab") as stream:
                stream.write(answer.body)
            total = answer.headers.get("content-range", "").rpartition("/")[2]
            if answer.status == 200 or not answer.body or part.stat().st_size >= int(total or 0):
                break
        data = part.read_bytes()
        part.unlink()
        found = hashlib.sha256(data).hexdigest()
        if found != offer.sha256:
            raise ModelRefused(f"its hash is {found[:12]}… (calculated), {offer.sha256[:12]}… (expected)")
        _write(folder / MODEL_FILE, data)
        _write(folder / "card.json", json.dumps(dict(offer.card)).encode())
        return data

    def _try(self, offer: Offer, data: bytes) -> None:
        """Run it once on silence: a model that crashes or answers NaN here would do so on the wrist."""
        bundle = Bundle(self._folder / offer.task / offer.version, offer.card, data)
        bundle.check_task(TASKS[offer.task])
        try:
            inputs = {spec.name: np.zeros((1, *spec.shape[1:]), np.float32) for spec in bundle.inputs}
            outputs = Model(bundle, self._runtime).run(inputs)
        except (KeyError, ValueError, RuntimeError) as error:
            raise ModelRefused(f"it does not run here: {error}") from error
        if not all(np.isfinite(value).all() for value in outputs.values()):
            raise ModelRefused("it answers silence with what is no number")

    def _bundle(self, task: str, version: str) -> Bundle:
        folder = self._folder / task / version
        return Bundle(folder, json.loads((folder / "card.json").read_text()), (folder / MODEL_FILE).read_bytes())

    def _state(self, task: str) -> dict[str, Any]:
        path = self._folder / task / "state.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def _keep(self, task: str, state: Mapping[str, Any]) -> None:
        _write(self._folder / task / "state.json", json.dumps(dict(state)).encode())


def _write(path: Path, data: bytes) -> None:
    """Write all or nothing, through a loss of power too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    with beside.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(path)
