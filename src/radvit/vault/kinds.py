"""What an object's kind has to do with a file's ending, for what goes in and for what comes out."""

from __future__ import annotations

_KINDS = {"dcm": "dicom", "txt": "text", "bin": "file"}  # of an ending
_SAME = frozenset({"html", "json", "pdf", "png", "csv", "yaml", "safetensors", "onnx", "npy", "md"})  # kind and ending
_ENDINGS = {kind: ending for ending, kind in _KINDS.items()}


def kind_of(ending: str) -> str:
    """The kind of a file by its ending, `.dcm` or `.DCM`; `file` where the ending says nothing."""
    plain = ending.lower().removeprefix(".")
    return plain if plain in _SAME else _KINDS.get(plain, "file")


def ending_of(kind: str) -> str:
    """The ending of a kind's files, without a dot; `bin` where the kind is none of the known ones."""
    return kind if kind in _SAME or kind in _KINDS else _ENDINGS.get(kind, "bin")
