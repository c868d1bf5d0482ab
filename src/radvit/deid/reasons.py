"""Why a file wasn't written, in words for people who may not see the file."""

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
    "deid": "can't be made safe",
    "identifier-left": "an identifier of the original was found in the copy, which was discarded",
    "duplicate": "another file has the same SOP Instance UID",
    "error": "an error that no rule foresaw",
}
