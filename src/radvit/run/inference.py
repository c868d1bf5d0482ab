"""infer(): studies to reports."""

from __future__ import annotations

import json
import logging
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from radvit import assemble, terminal
from radvit.bundle import Bundle, load_bundle
from radvit.config import BandsName, InferConfig, ReportConfig, SaliencyName
from radvit.data.loader import Loader
from radvit.deid.options import Option
from radvit.errors import ConfigError, SomeInputsFailedError, StoppedError
from radvit.hardware import compute_threads, cores
from radvit.inference.predictor import predict_folder
from radvit.inference.protocols import Detector, Explain, Explained
from radvit.inference.results import Totals
from radvit.inference.timing import write_timing
from radvit.plural import counted
from radvit.provenance import provenance
from radvit.records import Boxes, FloatArray
from radvit.report.build import Bands
from radvit.report.fleischner import Density, Risk, Stated
from radvit.report.forms import Form
from radvit.report.index import write_index
from radvit.report.json_form import SCHEMA, stated_form
from radvit.report.priors import compare_reports
from radvit.report.verdicts import Criteria
from radvit.report.write import Answers, StudyWriter
from radvit.run.precision import released

if TYPE_CHECKING:
    from radvit.inference.saliency import SaliencySpec

log = logging.getLogger(__name__)

SETTING = "setting.json"
UNTOLD = {"merge_tokens": 0.0, "crop_border": False, "forms": []}  # in folders of versions that could do none of it


def infer(config: InferConfig) -> None:
    """Read every study under a folder into a report. Raises SomeInputsFailedError where some could not be read."""
    terminal.quiet_libraries()
    bundle = load_bundle(Path(config.checkpoint))
    check_input(Path(config.input.path))
    check_forms(config.report)
    precision = released(bundle, config.precision)
    asked = config.saliency.method is not SaliencyName.none
    spec = assemble.saliency_spec(config.saliency) if asked else None
    loader = assemble.loader(config.deid, config.read, bundle.preprocess.voi, config.input.select)
    writer = study_writer(config, bundle, precision)
    beside = {"merge_tokens": bundle.spec.backbone.merge_tokens, "crop_border": bundle.preprocess.crop_border}
    setting = same_setting(writer, loader, config.input.any, spec, beside)
    with ended_by_signal(), ThreadPoolExecutor(1, "opening") as opener:
        opening = opener.submit(opened_model, bundle, config, precision)  # goes on while the first files are read
        if asked:
            opening.result()  # which says whether this model can be explained at all
        late = Late(opener.submit(in_setting, opening, setting, writer))
        totals = read_studies(config, bundle, loader, writer, late)
    compare_with_priors(writer)
    write_index(writer.output, writer.language)
    report_totals(totals, writer.output)


@dataclass(frozen=True, slots=True)
class Model:
    """What infer() asks. explain: None where it was not asked where the model looked."""

    detector: Detector
    explain: Explain | None = None


@dataclass(frozen=True, slots=True)
class Late:
    """A model that may not be there yet: whoever asks it first waits."""

    model: Future[Model]

    def detect(self, images: FloatArray) -> tuple[FloatArray, list[Boxes]]:
        """See Detector."""
        return self.model.result().detector(images)

    def explain(self, image: FloatArray, scores: FloatArray) -> Explained:
        """See Explain."""
        explain = self.model.result().explain
        if explain is None:
            raise TypeError("the model was not opened to be explained")
        return explain(image, scores)


def opened_model(bundle: Bundle, config: InferConfig, precision: str) -> Model:
    """The bundle's model, on all the cores there are. Raises BundleError or ConfigError where it can't be opened."""
    from radvit.inference.engine import BundleDetector, open_engine  # takes long to load, and is needed last

    engine = open_engine(bundle, precision, compute_threads())
    asked = config.saliency.method is not SaliencyName.none
    return Model(BundleDetector(bundle, engine), assemble.explainer(config.saliency, engine) if asked else None)


def in_setting(opening: Future[Model], setting: dict[str, Any], writer: StudyWriter) -> Model:
    """The model, once it is open and the output folder says what its reports are made with."""
    model = opening.result()
    writer.output.mkdir(parents=True, exist_ok=True)
    (writer.output / SETTING).write_text(json.dumps(setting, indent=2) + "\n")
    return model


def read_studies(config: InferConfig, bundle: Bundle, loader: Loader, writer: StudyWriter, late: Late) -> Totals:
    """Read the studies; what is known of the time it took is left in the output folder. Raises what opening raised."""
    with terminal.bar("reading studies", "studies") as advance:
        totals = predict_folder(
            Path(config.input.path),
            writer.output,
            loader,
            bundle.preprocess,
            late.detect,
            refuse=(lambda _: None) if config.input.any else bundle.scope.refusal,
            finish=writer,
            workers=cores() if config.workers is None else config.workers,
            batch_size=config.images(),
            progress=advance,
            written=writer.written,
            guard=assemble.guard(config.read),
            explain=late.explain if writer.mapped else None,
            ready=late.model.result,
        )
    late.model.result()  # also where there was nothing to ask it
    if totals.timing is not None:
        write_timing(totals.timing, writer.output)
        log.info("%s", totals.timing.words())
    return totals


def study_writer(config: InferConfig, bundle: Bundle, precision: str) -> StudyWriter:
    """What writes the reports."""
    return StudyWriter(
        output=Path(config.output),
        labels=bundle.labels,
        answers=Answers.BOXES if bundle.spec.task.localises else Answers.IMAGES,
        provenance=provenance(bundle, precision),
        bands=bands_of(config.report, bundle),
        language=config.report.language.value,
        mapped=config.saliency.method is not SaliencyName.none,
        criteria=criteria(config.report),
        forms=asked_forms(config.report),
        check=config.report.check,
        stated=stated(config.report),
    )


def bands_of(config: ReportConfig, bundle: Bundle) -> Bands:
    """Where the bands of a report begin. Raises ConfigError where thresholds are asked for that the model doesn't have.

    With operating points: suspicious above the lowest threshold of an image, listed from that of a box on, and never
    highly suspicious below what is suspicious. A classifier has no threshold of boxes.
    """
    if config.bands is BandsName.fixed:
        return Bands(config.high, config.moderate, config.mention)
    point = bundle.operating_point
    images = [float(value) for value in point.get("image_thresholds") or ()]
    if not images:
        raise ConfigError("report.bands=operating: this model has no operating point; expected report.bands=fixed")
    moderate, box = min(images), point.get("box_threshold")
    mention = min(config.mention if box is None else float(box), moderate)
    return Bands(max(config.high, moderate), moderate, mention)


@contextmanager
def ended_by_signal() -> Iterator[None]:
    """Let SIGTERM end what is done here as an interrupt would, by StoppedError; a second one ends the process."""

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise StoppedError(f"{signal.Signals(number).name}: stopped; the same command goes on", 128 + number)

    if threading.current_thread() is not threading.main_thread():  # only that one may listen
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def criteria(config: ReportConfig) -> Criteria | None:
    """What decides a comparison with an earlier study; None where there is to be none."""
    return Criteria(config.change_mm, config.change_percent, config.within) if config.prior else None


def stated(config: ReportConfig) -> Stated:
    """What the user states of nodules on CT."""
    given = config.fleischner
    return Stated(
        density=None if given.density is None else Density(given.density.value),
        risk=None if given.risk is None else Risk(given.risk.value),
        incidental=given.incidental,
    )


def compare_with_priors(writer: StudyWriter) -> None:
    """Set every report of the output folder against the patient's earlier one, those of earlier runs too."""
    with terminal.bar("comparing with earlier studies", "patients") as advance:
        written = compare_reports(writer.output, writer.criteria, writer.language, advance, writer.check)
    if written:
        log.info("%s written anew after comparing with earlier studies", counted(written, "report"))


def check_input(path: Path) -> None:
    """Raise ConfigError where there is nothing to read."""
    if not path.exists():
        raise ConfigError(f"input={path} does not exist; expected a DICOM file or a folder of them")
    if not path.is_file() and not any(inside.is_file() for inside in path.rglob("*")):
        raise ConfigError(f"input={path} is empty; expected a DICOM file or a folder of them")


def asked_forms(config: ReportConfig) -> tuple[Form, ...]:
    """What each report is written as beside findings.json and report.html, each form once."""
    return tuple(dict.fromkeys(Form(name.value) for name in config.forms))


def check_forms(config: ReportConfig) -> None:
    """Raise ConfigError where this machine can't write a form that is asked for."""
    if {Form.PDF, Form.DICOM_PDF} & set(asked_forms(config)):
        from radvit.report.pdf import check_pdf

        check_pdf(config.language.value)


def same_setting(
    writer: StudyWriter,
    loader: Loader,
    any_scope: bool,
    saliency: SaliencySpec | None = None,
    beside_weights: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What an output folder's reports are to be made with, for `setting.json`.

    beside_weights: what else of a model changes its answers, by the names of UNTOLD. Raises ConfigError where the
    folder holds reports of another model, precision, language, key, selection, scope, bands, saliency, way to treat
    dates, schema of findings.json, forms or statement about nodules on CT.
    """
    record = {
        "weights_sha256": writer.provenance.weights,
        "precision": writer.provenance.precision,
        "language": writer.language,
        "key": loader.pseudonymizer.fingerprint,
        "select": loader.selection.source,
        "any": any_scope,
        "bands": asdict(writer.bands),
        "saliency": None if saliency is None else asdict(saliency),
        "dates": dates(loader),
        "schema": SCHEMA,
        "forms": sorted(writer.forms),
        "fleischner": stated_form(writer.stated or Stated()),
        **{name: UNTOLD[name] for name in ("merge_tokens", "crop_border")},
        **(beside_weights or {}),
    }
    path = writer.output / SETTING
    if path.is_file():
        before = UNTOLD | known_setting(path)
        differing = sorted(name for name in record if before.get(name) != record[name])
        if differing:
            raise ConfigError(
                f"output={writer.output} holds reports made with another {', '.join(differing)}; name a new one"
            )
    return record


def dates(loader: Loader) -> str:
    """What becomes of dates; two ways in one folder would give wrong intervals between a patient's studies."""
    ways = {Option.MODIFIED_DATES: "modified", Option.FULL_DATES: "full"}
    return next((way for option, way in ways.items() if option in loader.options), "none")


def known_setting(path: Path) -> dict[str, Any]:
    """What an output folder's reports were made with; nothing is known where the file is damaged."""
    try:
        record = json.loads(path.read_text())
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def report_totals(totals: Totals, output: Path) -> None:
    """Say how a run ended. Raises SomeInputsFailedError where some inputs could not be read."""
    rate = totals.done / totals.seconds if totals.seconds else 0.0
    skipped = f", {totals.skipped} done before" if totals.skipped else ""
    unselected = f", {totals.unselected} files outside the selection" if totals.unselected else ""
    counts = (
        f"{totals.done} studies read ({rate:.2f} a second){skipped}, {totals.failed} failed, {totals.refused} refused"
        f"{unselected}"
    )
    where = f"{counts}; see {output / 'index.html'} and {output / 'manifest.csv'}"
    if totals.failed or totals.refused or totals.files_failed:
        raise SomeInputsFailedError(where)
    log.info("%s", where)
