"""Why a file wasn't written, in words for people who may not see the file."""

# What went wrong with the machine or the program, not with the file: another run may write it. All else is quarantine.
FAILED = frozenset({"memory", "timeout", "crashed", "error", "disk"})

REASONS = {
    "not-a-file": "nothing could be read at this place",
    "not-dicom": "no DICOM file",
    "truncated": "shorter than its header promises",
    "too-deep": "sequences nested deeper than the limit",
    "too-large": "larger than one of the limits",
    "bad-header": "an attribute that every image needs is missing or malformed",
    "bad-syntax": "a transfer syntax without a decoder",
    "not-an-image": "an object that is no image, such as a report or a plan",
    "no-pixels": "an image object without integer pixels",
    "not-grayscale": "truly coloured",
    "decode-failed": "pixels that their decoder refuses",
    "bad-pixels": "pixel values that can't be mapped as the header says",
    "not-selected": "outside of what was selected",
    "memory": "needed more memory than a worker may have",
    "timeout": "took longer than a worker may",
    "crashed": "ended the process that read it",
    "disk": "no space was left to write it",
    "deid": "can't be made safe",
    "identifier-left": "an identifier of the original was found in the copy, which was discarded",
    "burned-in": "the header says that there is text in the pixels, and none was found",
    "capture": "a secondary capture, which often holds identity, in which no text was found",
    "screenshot": "a screenshot, which often holds identity, in which no text was found",
    "ultrasound": "an ultrasound, which often holds identity, in which no text was found",
    "duplicate": "an earlier file has the same SOP Instance UID",
    "error": "an error that no rule foresaw",
}
