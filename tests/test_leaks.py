"""No identity of the phantom's invented patients reaches any byte that radvit keeps."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from radvit import config, run
from radvit.data.phantom import CohortSpec, write_cohort
from radvit.deid.pseudonym import Pseudonymizer

CONF = Path(__file__).parents[1] / "conf"
SHORTEST = 5  # shorter strings, such as `Dr`, occur by chance
TINY = ["model.stem=[8,16]", "model.patch_size=4", "model.embed_dim=32", "model.depth=1", "model.num_heads=2"]
TINY += ["data.image_size=64", "trainer.max_epochs=1", "trainer.check_val_every_n_epoch=1", "optim.batch_size=4"]


def composed(name: str, *overrides: str) -> object:
    config.register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return OmegaConf.to_object(compose(name, overrides=list(overrides)))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A cohort, and everything that training, evaluation, quantization and inference on it leave behind."""
    cohort, out = tmp_path_factory.mktemp("cohort"), tmp_path_factory.mktemp("kept")
    write_cohort(cohort, CohortSpec.preset(12, 3, small=True), workers=1)
    (out / "key").write_text("5a" * 32)
    (out / "key").chmod(0o600)
    key = f"deid.key={out / 'key'}"
    data = [f"data.path={cohort / 'dicom'}", f"data.truth={cohort / 'truth.json'}", f"data.cache={out / 'cache'}"]
    run.train(composed("train", "experiment=phantom_nodule", f"run_dir={out / 'run'}", key, *data, *TINY))
    run.evaluate(composed("evaluate", f"checkpoint={out / 'run'}", "quantize=int8", "bootstrap=50", key))
    read = (f"input.path={cohort / 'dicom'}", f"output={out / 'reports'}", "precision.name=int8", "report.mention=0")
    run.infer(composed("infer", f"checkpoint={out / 'run'}", *read, key))
    answers = json.loads((cohort / "identities.json").read_text())["patients"]
    return SimpleNamespace(folder=out, answers=answers, cohort=cohort)


def forms(text: str) -> Iterator[bytes]:
    """The byte forms in which a string may stand in a file, lower case."""
    for encoding in ("utf-8", "utf-16-le", "latin-1", "shift_jis", "gb18030"):
        try:
            yield text.lower().encode(encoding)
        except UnicodeEncodeError:
            continue
    yield json.dumps(text.lower())[1:-1].encode()


def iso(date: str) -> str:
    return f"{date[:4]}-{date[4:6]}-{date[6:]}"


def identifiers(answers: list[dict]) -> set[bytes]:
    """Every form of every string; a date as its eight digits alone, for one patient's shifted date in the form that
    reports use may be another's true one.
    """
    words = {s for patient in answers for s in (*patient["strings"], *patient["uids"]) if len(s) >= SHORTEST}
    words -= {iso(date) for patient in answers for date in patient["dates"]}
    return {form for word in words for form in forms(word)}


def hits(content: bytes, wanted: set[bytes]) -> list[bytes]:
    """Those that stand in the content; digits only where no further digit continues them."""
    lower = content.lower()
    found = [word for word in wanted if word in lower]
    return [w for w in found if not w.isdigit() or re.search(rb"(?<![0-9.])" + w + rb"(?![0-9])", lower)]


def test_the_search_finds_what_is_planted(kept: SimpleNamespace) -> None:
    wanted = identifiers(kept.answers)
    files = sorted((kept.cohort / "dicom").rglob("*.dcm"))
    assert all(hits(file.read_bytes(), wanted) for file in files)
    name = max(kept.answers[0]["strings"], key=len)
    assert hits(f"<b>{name.upper()}</b>".encode(), wanted)


def test_nothing_that_is_kept_holds_an_identity(kept: SimpleNamespace) -> None:
    wanted = identifiers(kept.answers)
    files = [path for path in kept.folder.rglob("*") if path.is_file()]
    kinds = {path.suffix for path in files}
    assert {".npy", ".json", ".csv", ".safetensors", ".onnx", ".html", ".png", ".ckpt", ".yaml"} <= kinds
    found = {str(path.relative_to(kept.folder)): hits(path.read_bytes(), wanted) for path in files}
    assert not {name: words for name, words in found.items() if words}


def test_no_file_or_folder_is_named_after_anybody(kept: SimpleNamespace) -> None:
    names = "\n".join(str(path.relative_to(kept.folder)) for path in kept.folder.rglob("*"))
    assert not hits(names.encode(), identifiers(kept.answers))


def test_no_patients_own_dates_stand_in_the_reports(kept: SimpleNamespace) -> None:
    pseudonyms = Pseudonymizer(bytes.fromhex("5a" * 32))
    dates = {pseudonyms.patient(p["patient_id"]): {iso(d) for d in p["dates"]} for p in kept.answers}
    seen = set()
    for path in (kept.folder / "reports").glob("*/findings.json"):
        patient = json.loads(path.read_text())["patient"]["pseudonym"]
        seen.add(patient)
        for file in path.parent.iterdir():
            assert not [date for date in dates[patient] if date.encode() in file.read_bytes()]
    assert len(seen) > 6
