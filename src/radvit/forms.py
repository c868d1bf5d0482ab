"""The forms of pseudonyms, in one place: whoever keeps a pseudonym can refuse what is none."""

from __future__ import annotations

import re

PATIENT = re.compile(r"P-[A-Z2-7]{16}\Z")  # base 32, 80 bits
UID = re.compile(r"2\.25\.(0|[1-9][0-9]{0,38})\Z")  # 128 bits, PS3.5 B.2
PATIENT_WORDS = "a pseudonym, `P-` and 16 letters, as `radvit deid` writes it"
UID_WORDS = "a pseudonym, `2.25.` and digits, as `radvit deid` writes it"
