"""The masks of the SIIM-ACR Pneumothorax Segmentation challenge (2019): `train-rle.csv`.

Run lengths go down the columns of 1024 x 1024 pixels, in pairs: how far behind the end of the last run, how long.
That is how COCO counts too, so nothing is unpacked here. `-1` is an image without pneumothorax; an image has a row for
each of its parts.
Source: Filice et al., "Crowdsourcing Pneumothorax Annotations Using Machine Learning Annotations on the NIH Chest X-ray
Dataset", Journal of Digital Imaging 2020.
"""

from __future__ import annotations

from radvit.data.sources.csv_rows import Row, one_label, rows
from radvit.data.sources.truth import Known, Mark, Runs, Truth, TruthFiles, by_name
from radvit.deid.pseudonym import Pseudonymizer
from radvit.errors import DataError

SIDE = 1024
NEGATIVE = "-1"


def read_siim(files: TruthFiles, labels: tuple[str, ...], pseudonymizer: Pseudonymizer) -> Truth:
    """Read the CSV; ImageId is the SOPInstanceUID and the file's stem. labels: one name. Raises DataError."""
    one_label(files.path, labels, "SIIM-ACR pneumothorax")
    marks: dict[str, list[Mark]] = {}
    for row in rows(files.path, ("ImageId", "EncodedPixels")):
        of_image = marks.setdefault(row.name("ImageId"), [])
        if row["EncodedPixels"] != NEGATIVE:
            of_image.append(Mark(0, runs=_runs(row)))
    known = {name: Known(tuple(parts), size=(SIDE, SIDE)) for name, parts in marks.items()}
    return Truth(by_name(known, pseudonymizer), 1)


def _runs(row: Row) -> Runs:
    try:
        counts = [int(word) for word in row["EncodedPixels"].split()]
        if not counts or len(counts) % 2:
            raise DataError("run lengths that don't come in pairs")
        return Runs.of_counts(counts, SIDE, SIDE)
    except (ValueError, DataError) as error:
        why = error if isinstance(error, DataError) else "run lengths that are no numbers"
        raise DataError(f"{row.place}: {why}; expected -1, or pairs of start and length") from None
