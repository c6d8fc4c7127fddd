"""Samples encrypted at rest: AES-256-GCM, bound to the digest of the chunk that they belong to."""

from __future__ import annotations

import base64
import binascii
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.store.errors import StoreError

_MARK = "+gcm"
_NONCE = 12


class Cipher:
    """
    Seals and opens; without a key it passes everything through, and opens only what was not sealed.

    Parameters
    ----------
    key : str
        Base64 of 32 bytes, or "" for none.

    Raises
    ------
    StoreError
        If the key is not that.
    """

    def __init__(self, key: str = "") -> None:
        self._gcm: AESGCM | None = None
        if not key:
            return
        try:
            raw = base64.b64decode(key, validate=True)
        except binascii.Error:
            raw = b""
        if len(raw) != 32:
            raise StoreError("WRISTWISE_DATA_KEY must be base64 of 32 bytes; `openssl rand -base64 32` makes one")
        self._gcm = AESGCM(raw)

    def seal(self, codec: str, data: bytes, digest: bytes) -> tuple[str, bytes]:
        """Return codec and data as they are to be stored."""
        if self._gcm is None:
            return codec, data
        nonce = os.urandom(_NONCE)
        return codec + _MARK, nonce + self._gcm.encrypt(nonce, data, digest)

    def open(self, codec: str, data: bytes, digest: bytes) -> tuple[str, bytes]:
        """
        Return codec and data as they were before `seal`.

        Raises
        ------
        StoreError
            If the key is missing or another one.
        """
        if not codec.endswith(_MARK):
            return codec, data
        if self._gcm is None:
            raise StoreError("these samples are encrypted; set WRISTWISE_DATA_KEY to the key of that time")
        try:
            return codec[: -len(_MARK)], self._gcm.decrypt(data[:_NONCE], data[_NONCE:], digest)
        except InvalidTag as error:
            raise StoreError("these samples were encrypted with another WRISTWISE_DATA_KEY, or were altered") from error
