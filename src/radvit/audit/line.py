"""One line of an audit log: what it may hold, and the seal that closes it."""

from __future__ import annotations

import hmac
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from radvit import forms
from radvit.errors import AuditError

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"

KEY_BYTES = 32
MOST_CHARACTERS = 200  # of a text: a code, a name, a version; no letter and no report
MOST_DEPTH = 4  # of lists and objects within a field
MOST_LINE_BYTES = 1 << 20
RESERVED = ("n", "time", "user", "event", "previous", "hash")

_HASH_DIGITS = 64
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
_EVENT = re.compile(r"[a-z][a-z0-9_]{0,31}(\.[a-z][a-z0-9_]{0,31}){0,3}\Z")
_PSEUDONYMS = {
    "patient": ((forms.PATIENT,), forms.PATIENT_WORDS),
    "study": ((forms.UID,), forms.UID_WORDS),
    "series": ((forms.UID,), forms.UID_WORDS),
    "image": ((forms.UID,), forms.UID_WORDS),
    "pseudonym": ((forms.PATIENT, forms.UID), "a pseudonym, `P-...` or `2.25....`, as `radvit deid` writes it"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line whose seal holds. n: its number, from 1. previous, hash: 64 hexadecimal digits. record: all it says."""

    n: int
    previous: str
    hash: str
    record: dict[str, Any]


class Seal:
    """Closes a JSON object with HMAC-SHA256 over all bytes before it, as its last member.

    key: 32 bytes, of which each purpose gets a subkey (RFC 5869 2.3). member: the name under which the seal stands.
    """

    def __init__(self, key: bytes, purpose: str, member: str) -> None:
        self._key = subkey(key, purpose)
        self._member = member

    def closed(self, body: str) -> tuple[bytes, str]:
        """A JSON object with its seal, without a line's end, and the seal itself. body: the object without it."""
        mac = hmac.digest(self._key, body.encode(), "sha256").hex()
        return body[:-1].encode() + self._tail(mac), mac

    def opened(self, sealed: bytes) -> tuple[bytes, str] | None:
        """The object without its seal, and the seal; None where one byte isn't as it was closed."""
        length = len(self._tail("0" * _HASH_DIGITS))
        body = sealed[:-length] + b"}"
        mac = hmac.digest(self._key, body, "sha256").hex()
        return (body, mac) if hmac.compare_digest(sealed[-length:], self._tail(mac)) else None

    def _tail(self, mac: str) -> bytes:
        return f',"{self._member}":"{mac}"}}'.encode()


def subkey(key: bytes, purpose: str) -> bytes:
    """One key for each purpose; AuditError where the log's key isn't 32 bytes."""
    if len(key) != KEY_BYTES:
        raise AuditError(f"audit key of {len(key)} bytes; expected {KEY_BYTES}")
    return HKDFExpand(SHA256(), KEY_BYTES, info=f"radvit audit {purpose}".encode()).derive(key)


def composed(time: str, user: str, event: str, fields: Mapping[str, Json]) -> str:
    """The middle of a line, which stands before its place in the log is known: JSON members without brackets.

    Raises AuditError, which never quotes a value, where an entry may not stand in a log.
    """
    if not _EVENT.match(event):
        raise AuditError(f"event of {len(event)} characters; expected words of small letters, such as `deid.file`")
    for name, value in fields.items():
        if not isinstance(name, str) or not _FIELD.match(name):
            raise AuditError(f"event {event}: a field's name is malformed; expected small letters, digits and _")
        if name in RESERVED:
            raise AuditError(f"event {event}: field {name} is the log's own; expected another name")
        _check(name, value, MOST_DEPTH)
    members = {"time": time, "user": user, "event": event, **fields}
    return json.dumps(members, separators=(",", ":"), allow_nan=False)[1:-1]


def placed(middle: str, n: int, previous: str, seal: Seal) -> tuple[bytes, str]:
    """A whole line with its end, and its hash. AuditError where it is longer than a line may be."""
    line, mac = seal.closed(f'{{"n":{n},{middle},"previous":"{previous}"}}')
    if len(line) >= MOST_LINE_BYTES:
        raise AuditError(f"an entry makes a line of {len(line)} bytes; expected less than {MOST_LINE_BYTES}")
    return line + b"\n", mac


def read_line(sealed: bytes, seal: Seal) -> Line | None:
    """The line that stands in these bytes, its end not counted; None where the seal doesn't hold."""
    opened = seal.opened(sealed)
    if opened is None:
        return None
    record = json.loads(opened[0])  # what the seal holds was written by `placed`
    return Line(record["n"], record["previous"], opened[1], record)


def is_plain(text: str) -> bool:
    """Whether a text is short and all of it can be seen: no line's end, no control or direction character."""
    return len(text) <= MOST_CHARACTERS and text.isprintable()


def _check(name: str, value: Json, depth: int) -> None:
    """AuditError where a field's value isn't JSON, or may be what a log must not hold."""
    match value:
        case None | bool():
            sound = name not in _PSEUDONYMS
        case int():
            sound = abs(value) < 1 << 63 and name not in _PSEUDONYMS
        case float():
            sound = math.isfinite(value) and name not in _PSEUDONYMS
        case str():
            sound = _is_fit(name, value)
        case dict() if depth:
            sound = all(isinstance(key, str) and is_plain(key) for key in value)
            for key in value if sound else ():
                _check(key, value[key], depth - 1)
        case list() | tuple() if depth:
            sound = True
            for item in value:
                _check(name, item, depth - 1)
        case _:
            raise AuditError(f"a field of type {type(value).__name__}; expected JSON of at most {MOST_DEPTH} levels")
    if not sound:
        raise AuditError(_expected(name))


def _is_fit(name: str, text: str) -> bool:
    patterns, _ = _PSEUDONYMS.get(name, ((), ""))
    return any(pattern.match(text) for pattern in patterns) if patterns else is_plain(text)


def _expected(name: str) -> str:
    if name in _PSEUDONYMS:
        return f"field {name}: expected {_PSEUDONYMS[name][1]}"
    where = f"field {name}" if _FIELD.match(name) else "a field"
    return f"{where}: expected a finite number, or text of at most {MOST_CHARACTERS} characters that can all be seen"
