import pytest

from radvit.audit import AuditLog
from radvit.audit.place import KEY_ENVIRONMENT, LOG_ENVIRONMENT

KEY = b"k" * 32
PATIENT, STUDY = "P-ABCDEFGHIJKLMNOP", "2.25.123"
ENTRIES = [
    ("deid.begun", {"profile": "basic", "options": ["113107", "113108"]}),
    ("deid.file", {"patient": PATIENT, "study": STUDY, "actions": {"X": ["00100010"], "Z": []}}),
    ("deid.file", {"patient": PATIENT, "study": STUDY, "blanked": 2, "share": 0.5, "flagged": True, "note": None}),
    ("deid.ended", {"written": 2, "words": 'é 中文 \\ "'}),
]


@pytest.fixture(autouse=True)
def nowhere_else(tmp_path, monkeypatch):
    monkeypatch.delenv(LOG_ENVIRONMENT, raising=False)
    monkeypatch.delenv(KEY_ENVIRONMENT, raising=False)
    monkeypatch.delenv("RADVIT_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def log(tmp_path):
    """A log of five lines, the first of them its own."""
    made = AuditLog(tmp_path / "audit.jsonl", KEY)
    made.extend(ENTRIES)
    return made
