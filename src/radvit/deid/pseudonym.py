"""Keyed pseudonyms: the same key gives the same names, and without the key no name leads back."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import unicodedata

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydicom.uid import UID_dictionary

from radvit.deid.key import KEY_BYTES
from radvit.errors import DeidError

MOST_DAYS = 3650
# Context groups (PS3.6 Table A-3) and coding schemes, such as SNOMED CT's (PS3.16 Table 8-1).
_GIVEN_OUT = re.compile(r"(1\.2\.840\.10008\.6\.1\.[0-9]{1,5}|2\.16\.840\.1\.113883\.[0-9]\.[0-9]{1,5})\Z")
OWN_UIDS = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")  # of a file: the standard gives out none
_PURPOSES = ("patient", "uid", "date offset", "fingerprint")


def is_well_known(uid: str) -> bool:
    """Whether the standard itself gives out a UID: of classes, transfer syntaxes, known frames, context groups."""
    return uid in UID_dictionary or bool(_GIVEN_OUT.match(uid))


class Pseudonymizer:
    """Pseudonyms from one key: HMAC-SHA256 under a subkey for each project and purpose (HKDF-SHA256, RFC 5869).

    project: a name; pseudonyms of two projects can't be linked without the key, though the key is one.

    Holds no table, so instances with the same key agree across processes and machines. Can be pickled: the pickle
    holds the subkeys and is as secret as the key. Raises DeidError where the key isn't 32 bytes.
    """

    __slots__ = ("_subkeys",)

    def __init__(self, key: bytes, project: str = "") -> None:
        if len(key) != KEY_BYTES:
            raise DeidError(f"pseudonymisation key of {len(key)} bytes; expected {KEY_BYTES}")
        self._subkeys = {
            purpose: HKDF(SHA256(), 32, salt=None, info=_info(purpose, project)).derive(key) for purpose in _PURPOSES
        }

    def __repr__(self) -> str:
        return f"Pseudonymizer({self.fingerprint})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pseudonymizer) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return int(self.fingerprint, 16)

    def patient(self, patient_id: str) -> str:
        """`P-` and 16 base-32 characters (80 bits). Spaces around the identifier don't count (PS3.5 6.2)."""
        return "P-" + base64.b32encode(self._digest("patient", _canonical(patient_id))[:10]).decode()

    def uid(self, uid: str) -> str:
        """`2.25.` and a 128-bit integer: a UID in the form of PS3.5 B.2, the same for the same original."""
        return f"2.25.{int.from_bytes(self._digest('uid', uid.strip())[:16])}"

    def offset_days(self, patient_id: str) -> int:
        """Days by which a patient's dates go back: 1 to 3650, one number for each patient, so that intervals stay."""
        return 1 + int.from_bytes(self._digest("date offset", _canonical(patient_id))[:8]) % MOST_DAYS

    @property
    def fingerprint(self) -> str:
        """12 hexadecimal digits that tell keys apart and give nothing of them away."""
        return self._digest("fingerprint", "")[:6].hex()

    def _digest(self, purpose: str, text: str) -> bytes:
        return hmac.new(self._subkeys[purpose], text.encode("utf-8", "surrogateescape"), hashlib.sha256).digest()


def _info(purpose: str, project: str) -> bytes:
    """What a subkey is for; a purpose holds no line's end, so that no project's name can look like another purpose."""
    return f"radvit {purpose}".encode() + (f"\n{project}".encode() if project else b"")


def _canonical(patient_id: str) -> str:
    return unicodedata.normalize("NFC", patient_id.strip())
