"""People, their devices, pairings and tokens. Secrets are stored as hashes only."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from data.errors import WristwiseError
from services.store.store import now_us
from services.store.tables import devices, pairings, tokens, users

SECOND = 1_000_000
ACCESS_S = 3600
REFRESH_S = 90 * 86400
PAIRING_S = 600
POLL_S = 1
# No vowels and no look-alikes: nothing to misread, no words by accident (RFC 8628, 6.1).
CODE_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
SCOPES = ("watch", "companion", "caregiver")
# Built once: see `services.store.jobs`.
_LOCK = select(users.c.last_change).where(users.c.user_id == bindparam("b_user")).with_for_update()
_ACCESS = select(tokens).where(tokens.c.token_hash == bindparam("b_hash"), tokens.c.kind == "access")


class AccountError(WristwiseError, ValueError):
    """A user cannot be created or found."""


class GrantError(WristwiseError, PermissionError):
    """A token was refused; `code` is OAuth's."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True)
class Access:
    """Who is asking: what a valid access token stands for."""

    user_id: int
    scope: str
    device_id: str | None
    client_id: str
    family: str


@dataclass(frozen=True)
class TokenPair:
    """A fresh access token with the refresh token that follows it."""

    access_token: str
    refresh_token: str
    scope: str
    device_id: str | None
    user_id: int
    expires_in: int = ACCESS_S


def user_name(user_id: int) -> str:
    """Return the form of a user's id that leaves the service."""
    return f"{user_id:016x}"


def create_user(conn: Connection, name: str, secret: str | None = None) -> tuple[int, str]:
    """
    Create a user and return (user id, secret); the secret is drawn here unless given.

    Raises
    ------
    AccountError
        If the name is taken, empty or too long, or a given secret is shorter than 12 characters.
    """
    if not 0 < len(name) <= 64:
        raise AccountError(f"a user's name must have 1 to 64 characters, got {len(name)}; choose another")
    if conn.execute(select(users.c.user_id).where(users.c.name == name)).first() is not None:
        raise AccountError(f"there is a user {name!r} already; choose another name")
    if secret is not None and len(secret) < 12:
        raise AccountError(f"a secret must have at least 12 characters, got {len(secret)}; choose a longer one")
    user_id, secret = secrets.randbits(62), secret or secrets.token_urlsafe(18)
    conn.execute(
        insert(users).values(user_id=user_id, name=name, secret_hash=_hash_secret(secret), created_us=now_us())
    )
    return user_id, secret


def has_users(conn: Connection) -> bool:
    """Return whether anybody has an account yet."""
    return conn.execute(select(users.c.user_id).limit(1)).first() is not None


def check_secret(conn: Connection, name: str, secret: str) -> int | None:
    """Return the user's id if the secret is theirs; an unknown name takes as long as a wrong secret."""
    row = conn.execute(select(users.c.user_id, users.c.secret_hash).where(users.c.name == name)).first()
    stored = row.secret_hash if row is not None else bytes(48)
    given = _hash_secret(secret, stored[:16])
    return int(row.user_id) if row is not None and hmac.compare_digest(given, stored) else None


def lock_user(conn: Connection, user_id: int) -> int | None:
    """Lock the user's row till the end of the transaction; return the last change number, None if gone."""
    return conn.execute(_LOCK, {"b_user": user_id}).scalar()


def issue(conn: Connection, user_id: int, scope: str, client_id: str, device_id: str | None = None) -> TokenPair:
    """Begin a new family of tokens."""
    return _issue(conn, user_id, scope, client_id, device_id, secrets.token_hex(16))


def access(conn: Connection, token: str) -> Access | None:
    """Return what `token` stands for, or None if it is unknown, expired or revoked."""
    row = conn.execute(_ACCESS, {"b_hash": _digest(token)}).first()
    if row is None or row.expires_us < now_us():
        return None
    return Access(row.user_id, row.scope, row.device_id, row.client_id, row.family)


def refresh(conn: Connection, token: str, client_id: str) -> TokenPair | GrantError:
    """
    Exchange a refresh token; one that was used before revokes its whole family.

    The error is returned, not raised: the revocation must be committed with it.
    """
    row = conn.execute(
        select(tokens).where(tokens.c.token_hash == _digest(token), tokens.c.kind == "refresh").with_for_update()
    ).first()
    if row is None or row.client_id != client_id:
        return GrantError("invalid_grant", "this refresh token is not known here; pair the device again")
    if row.used_us is not None:
        revoke_family(conn, row.user_id, row.family)
        return GrantError(
            "invalid_grant",
            "this refresh token was used before, so someone else may hold it: all tokens of this pairing were "
            "revoked; pair the device again",
        )
    if row.expires_us < now_us():
        return GrantError("invalid_grant", "this refresh token has expired; pair the device again")
    conn.execute(update(tokens).where(tokens.c.token_hash == row.token_hash).values(used_us=now_us()))
    # The access token of the last round goes with it: one live pair a family.
    conn.execute(
        delete(tokens).where(tokens.c.user_id == row.user_id, tokens.c.family == row.family, tokens.c.kind == "access")
    )
    return _issue(conn, row.user_id, row.scope, row.client_id, row.device_id, row.family)


def revoke_family(conn: Connection, user_id: int, family: str) -> None:
    """Revoke every token of one pairing."""
    conn.execute(delete(tokens).where(tokens.c.user_id == user_id, tokens.c.family == family))


def revoke_token(conn: Connection, token: str) -> None:
    """Revoke the family of `token`, if there is one (RFC 7009: an unknown token is no error)."""
    row = conn.execute(select(tokens).where(tokens.c.token_hash == _digest(token))).first()
    if row is not None:
        revoke_family(conn, row.user_id, row.family)


def revoke_device(conn: Connection, user_id: int, device_id: str) -> bool:
    """Revoke a device and its tokens; its data stay. Return whether there was such a device."""
    found = conn.execute(
        update(devices)
        .where(devices.c.user_id == user_id, devices.c.device_id == device_id)
        .values(revoked_us=func.coalesce(devices.c.revoked_us, now_us()))
    ).rowcount
    conn.execute(delete(tokens).where(tokens.c.user_id == user_id, tokens.c.device_id == device_id))
    return bool(found)


def list_devices(conn: Connection, user_id: int) -> list[Row[Any]]:
    """Return the user's devices, by id."""
    return list(conn.execute(select(devices).where(devices.c.user_id == user_id).order_by(devices.c.device_id)))


@dataclass(frozen=True)
class Pairing:
    """What a watch that asked to be paired is told."""

    device_code: str
    user_code: str
    device_id: str
    expires_in: int = PAIRING_S
    interval: int = POLL_S


def start_pairing(conn: Connection, client_id: str, scope: str, device: dict[str, str]) -> Pairing:
    """Store a new pairing; `device` has ``device_id`` ('' for one of ours), ``name``, ``model``."""
    conn.execute(delete(pairings).where(pairings.c.expires_us < now_us() - 3600 * SECOND))
    device_code = secrets.token_urlsafe(32)
    letters = "".join(secrets.choice(CODE_ALPHABET) for _ in range(8))
    pairing = Pairing(device_code, f"{letters[:4]}-{letters[4:]}", device["device_id"] or secrets.token_hex(16))
    conn.execute(
        insert(pairings).values(
            device_code_hash=_digest(device_code), user_code=letters, client_id=client_id, scope=scope,
            device_id=pairing.device_id, device_name=device["name"], device_model=device["model"],
            expires_us=now_us() + PAIRING_S * SECOND, interval_s=POLL_S, state="pending",
        )
    )  # fmt: skip
    return pairing


def find_pairing(conn: Connection, user_code: str) -> Row[Any] | None:
    """Return the pending pairing that shows `user_code` (case and hyphens do not matter)."""
    letters = "".join(c for c in user_code.upper() if c in CODE_ALPHABET)
    return conn.execute(
        select(pairings)
        .where(pairings.c.user_code == letters, pairings.c.state == "pending", pairings.c.expires_us >= now_us())
        .with_for_update()
    ).first()


def decide_pairing(conn: Connection, user_id: int, user_code: str, approve: bool) -> Row[Any] | None:
    """Approve or deny; return the pairing, or None if no pending one shows this code."""
    row = find_pairing(conn, user_code)
    if row is None:
        return None
    state = "approved" if approve else "denied"
    conn.execute(
        update(pairings)
        .where(pairings.c.device_code_hash == row.device_code_hash)
        .values(state=state, user_id=user_id if approve else None)
    )
    return row


def poll_pairing(conn: Connection, device_code: str, client_id: str) -> TokenPair | GrantError:
    """Answer a polling device: tokens once, or the reason why not (yet). The error is returned to be committed."""
    row = conn.execute(
        select(pairings).where(pairings.c.device_code_hash == _digest(device_code)).with_for_update()
    ).first()
    if row is None or row.client_id != client_id or row.state == "used":
        return GrantError("invalid_grant", "this device code is not known, or was used; start the pairing again")
    if row.expires_us < now_us():
        return GrantError("expired_token", "nobody approved the code in time; start the pairing again")
    if row.state == "denied":
        return GrantError("access_denied", "the wearer refused this device; start again if that was a mistake")
    here = update(pairings).where(pairings.c.device_code_hash == row.device_code_hash)
    now = now_us()
    if row.state == "pending":
        # 0.9: a client that waits exactly the interval is not to be punished for the clock's grain.
        fast = row.polled_us is not None and now - row.polled_us < 0.9 * row.interval_s * SECOND
        conn.execute(here.values(polled_us=now, interval_s=row.interval_s + (5 if fast else 0)))
        if fast:
            return GrantError("slow_down", f"poll at most every {row.interval_s + 5} s")
        return GrantError("authorization_pending", "the wearer has not approved the code yet; poll again")
    conn.execute(here.values(state="used"))
    if row.scope == "watch":
        _add_device(conn, row)
    device_id = row.device_id if row.scope == "watch" else None
    return issue(conn, row.user_id, row.scope, row.client_id, device_id)


def _add_device(conn: Connection, row: Row[Any]) -> None:
    key = (devices.c.user_id == row.user_id) & (devices.c.device_id == row.device_id)
    values = {"name": row.device_name, "model": row.device_model, "revoked_us": None}
    if not conn.execute(update(devices).where(key).values(**values)).rowcount:
        conn.execute(
            insert(devices).values(user_id=row.user_id, device_id=row.device_id, created_us=now_us(), **values)
        )


def _issue(conn: Connection, user_id: int, scope: str, client_id: str, device_id: str | None, family: str) -> TokenPair:
    pair = TokenPair(secrets.token_urlsafe(32), secrets.token_urlsafe(32), scope, device_id, user_id)
    now = now_us()
    conn.execute(
        insert(tokens),
        [
            {
                "token_hash": _digest(token), "user_id": user_id, "kind": kind, "family": family,
                "client_id": client_id, "scope": scope, "device_id": device_id, "expires_us": now + life * SECOND,
            }
            for token, kind, life in (
                (pair.access_token, "access", ACCESS_S), (pair.refresh_token, "refresh", REFRESH_S),
            )
        ],
    )  # fmt: skip
    return pair


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _hash_secret(secret: str, salt: bytes | None = None) -> bytes:
    salt = salt or secrets.token_bytes(16)
    return salt + hashlib.scrypt(secret.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32)
