from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from radvit.bench.deid.cohort import write_cohort


@pytest.fixture(scope="session")
def cohort(tmp_path_factory):
    """Twenty-six files of eleven studies: each kind of image and each plant at least once."""
    return write_cohort(tmp_path_factory.mktemp("cohort"), 11, 0)


@pytest.fixture
def write():
    """Write a small CT with these attributes, by keyword."""

    def written(path: Path, **values: object) -> Path:
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, "1.2.3"
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset.save_as(path, enforce_file_format=True)
        return path

    return written
