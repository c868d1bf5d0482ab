"""Cohorts of a few dozen small images, and configurations that train on them in a second."""

import csv
import json
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian

from radvit import config

CONF = Path(__file__).parents[1] / "conf"
KEY = "ab" * 32
PATIENTS = 24
SIZE = (72, 64)
TINY = [
    "model.stem=[8,16]",
    "model.stem_blocks=0",
    "trainer.precision=32-true",
    "model.patch_size=2",
    "model.embed_dim=32",
    "model.depth=2",
    "model.num_heads=2",
    "data.workers=0",
    "trainer=cpu",
    "trainer.max_epochs=2",
    "trainer.check_val_every_n_epoch=1",
    "optim.batch_size=4",
    "optim.ema_decay=0.5",
    "logger=csv",
]


def write_image(path, patient, pixels, **attributes):
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{patient}.3"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"1.2.3.{patient}.1", f"1.2.3.{patient}.2"
    dataset.PatientID, dataset.PatientName = f"MRN{patient}", f"Quillfeather^Zanzibar{patient}"
    dataset.Modality, dataset.BodyPartExamined, dataset.ViewPosition = "CR", "CHEST", "PA"
    dataset.PixelSpacing = [2.0, 2.0]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelData = pixels.astype("<u2").tobytes()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


def write_cohort(folder):
    """Smooth images, of which every second has one bright disc."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    images, annotations = [], []
    for patient in range(PATIENTS):
        grey = 1200 + 8 * rows + rng.normal(0, 40, SIZE)
        if patient % 2:
            x, y, radius = rng.uniform(16, 48), rng.uniform(16, 56), rng.uniform(5, 8)
            grey += 1500 * ((columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 < radius**2)
            box = [x - radius, y - radius, 2 * radius, 2 * radius]
            annotations.append({"id": patient, "image_id": patient, "category_id": 0, "bbox": box})
        write_image(folder / "dicom" / f"{patient % 3}" / f"{patient}.dcm", patient, np.clip(grey, 0, 4095))
        images.append({"id": patient, "sop_instance_uid": f"1.2.3.{patient}.3", "height": SIZE[0], "width": SIZE[1]})
    truth = {"images": images, "annotations": annotations, "categories": [{"id": 0, "name": "nodule"}]}
    (folder / "truth.json").write_text(json.dumps(truth))


def write_medmnist(path):
    """Bright and dark squares in MedMNIST's form."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in (("train", 24), ("val", 12), ("test", 12)):
        labels = np.arange(n)[:, None] % 2
        images = rng.normal(90, 20, (n, 28, 28)) + 60 * labels[:, :, None] * (np.arange(28) > 13)
        arrays |= {f"{split}_images": images.clip(0, 255).astype(np.uint8), f"{split}_labels": labels.astype(np.uint8)}
    np.savez(path, **arrays)


def composed(name, *overrides):
    config.register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return OmegaConf.to_object(compose(name, overrides=[str(o) for o in overrides]))


class Place:
    """Where one session's cohorts, runs and key lie."""

    def __init__(self, folder):
        self.folder = folder
        self.key = folder / "deid.key"
        self.key.write_text(KEY)
        self.key.chmod(0o600)
        write_cohort(folder / "cohort")
        write_medmnist(folder / "pneumoniamnist.npz")

    def detect(self, name, *overrides):
        cohort = self.folder / "cohort"
        data = [f"data.path={cohort / 'dicom'}", f"data.truth={cohort / 'truth.json'}", "data.image_size=64"]
        split = ["data.split.train=0.5", "data.split.val=0.25", "data.split.test=0.25"]
        model = ["model.strides=[4]", "model.width=16", "optim.lr=3e-3"]
        return self._config("phantom_nodule", name, *data, *split, *model, *overrides)

    def classify(self, name, *overrides):
        data = [f"data.path={self.folder / 'pneumoniamnist.npz'}", "model.stem=[8]", "model.hidden=16"]
        return self._config("pneumoniamnist", name, *data, *overrides)

    def evaluate(self, checkpoint, *overrides):
        return composed("evaluate", f"checkpoint={checkpoint}", "bootstrap=20", f"deid.key={self.key}", *overrides)

    def infer(self, checkpoint, source, output, *overrides):
        paths = (f"checkpoint={checkpoint}", f"input.path={source}", f"output={output}", f"deid.key={self.key}")
        return composed("infer", *paths, "workers=1", *overrides)

    def _config(self, experiment, name, *overrides):
        places = [f"run_dir={self.folder / name}", f"data.cache={self.folder / 'cache'}", f"deid.key={self.key}"]
        last = [o for o in overrides if o.startswith("model.stem")]  # the later override of a key wins
        return composed("train", f"experiment={experiment}", *places, *TINY, *(o for o in overrides), *last)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def words_in(folder):
    """All bytes of all files below a folder."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def outline(folder):
    """The cohort's truth with a polygon of each disc. Returns the new file."""
    truth = json.loads((folder / "truth.json").read_text())
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    for one in truth["annotations"]:
        x, y, width, height = one["bbox"]
        around = np.stack([x + width / 2 * (1 + np.cos(turn)), y + height / 2 * (1 + np.sin(turn))], 1)
        one["segmentation"] = [around.ravel().tolist()]
    path = folder / "outlined.json"
    path.write_text(json.dumps(truth))
    return path
