"""The words that may stay in the pixels: what a radiographer or a machine writes of the image, not of the patient.

A list of what is allowed, as for the header: a word that nobody thought of is blanked. Left out on purpose are words
that are common names (HAND, HEAD, LONG, CHIN), the letters M and F, ages, and bare numbers. A word must stand in the
list as it was read, but for digits that look like letters (P0RTABLE): likeness isn't measured, as it could let a name
through, while a harmless word misread costs nothing but itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_SIDES = "L R LT RT LEFT RIGHT LINKS RECHTS BILAT BILATERAL LL RL 左 右 左侧 右侧"
_PROJECTIONS = """
    AP PA LAT LATERAL OBL OBLIQUE AXIAL FRONTAL TANGENTIAL LPO RPO LAO RAO LLD RLD LATL LLAT RLAT
    CC MLO LM LCC RCC LMLO RMLO XCCL XCCM LXCCL RXCCL LML RML VIEW MAG SPOT SCOUT TOPOGRAM LOCALIZER
    正位 侧位 斜位 后前位 前后位 轴位
"""
_POSITIONS = """
    SUPINE PRONE ERECT UPRIGHT SEMI SEMIUPRIGHT SEMIERECT STANDING SITTING SEATED RECUMBENT DECUBITUS DECUB
    LYING WEIGHTBEARING WEIGHT BEARING NON FLEXION EXTENSION NEUTRAL INTERNAL EXTERNAL ROTATION CROSS TABLE XTABLE
    INSPIRATION EXPIRATION INSP EXPIR LORDOTIC TRENDELENBURG PORTABLE PORT MOBILE BEDSIDE GRID NONGRID STRESS
    立位 卧位 仰卧位 俯卧位 坐位 站立位 半卧位 床旁 床边
"""
_ANATOMY = """
    CHEST THORAX LUNG LUNGS RIBS ABDOMEN KUB PELVIS SPINE CERVICAL THORACIC LUMBAR SACRUM COCCYX SKULL SHOULDER CLAVICLE
    HUMERUS ELBOW FOREARM WRIST FINGER THUMB FEMUR KNEE PATELLA TIBIA FIBULA ANKLE CALCANEUS BREAST
    胸部 腹部 骨盆 颈椎 胸椎 腰椎 膝关节 踝关节 腕关节 肘关节 肩关节 髋关节
"""
_TECHNIQUE = "SID FFD KVP KV MAS CM MM DOSE EXPOSURE EI DAP FILTER CONTRAST"
ALLOWED = frozenset(" ".join((_SIDES, _PROJECTIONS, _POSITIONS, _ANATOMY, _TECHNIQUE)).split())

# Units that a number of up to three digits may stand before. M, S and Y are left out: 45 M is a man of that age. So is
# MA: a bed's number before a family name.
_UNITS = "KV KVP MAS MSEC SEC CM MM UGY MGY CGY DGYCM2 GYCM2 HZ KHZ MHZ DB FPS DEG"
UNITS = frozenset(_UNITS.split())
# The technique words that a number may stand behind, as in KV 120.
LABELS = frozenset(("KV", "KVP", "MAS", "SID", "FFD"))

_NUMBER = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3})?\Z")
_GLUED = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)([A-Z]+2?)\Z")
_LIKE_LETTERS = str.maketrans("0158", "OISB")
_LEAST_LETTERS = 4  # of a word in which digits are taken for letters
_BETWEEN = re.compile(r"[^\w.,]+|_+|[.,](?!\d)|(?<!\d)[.,]")


def is_allowed(text: str, forbidden: frozenset[str] = frozenset()) -> bool:
    """Whether every word of a line may stay, and there is one. forbidden: words, in capitals, that may not."""
    words = [word.replace(",", ".") for word in _BETWEEN.split(text.upper()) if word]
    if not words or any(word in forbidden for word in (*words, *map(_letters, words))):
        return False
    return all(_stays(word, before, after) for before, word, after in _neighbours(words))


def _stays(word: str, before: str, after: str) -> bool:
    if _NUMBER.match(word):
        return after in UNITS or before in LABELS
    if word in ALLOWED or _letters(word) in ALLOWED:
        return True
    glued = _GLUED.match(word)
    return glued[2] in UNITS if glued else word in UNITS and bool(_NUMBER.match(before))


def _letters(word: str) -> str:
    """A word read as one of letters alone, where most of it are."""
    enough = sum(c.isalpha() for c in word) >= _LEAST_LETTERS
    return word.translate(_LIKE_LETTERS) if enough else word


def _neighbours(words: list[str]) -> Iterator[tuple[str, str, str]]:
    return zip(["", *words[:-1]], words, [*words[1:], ""], strict=True)
