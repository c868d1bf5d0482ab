"""infer(): studies to reports."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from radvit import assemble, terminal
from radvit.bundle import load_bundle
from radvit.config import InferConfig, ReportConfig
from radvit.data.loader import Loader
from radvit.deid.options import Option
from radvit.errors import ConfigError, SomeInputsFailedError
from radvit.inference.engine import BundleDetector, open_engine
from radvit.inference.predictor import predict_folder
from radvit.inference.results import Totals
from radvit.inference.saliency import SaliencySpec
from radvit.plural import counted
from radvit.provenance import provenance
from radvit.report.build import Bands
from radvit.report.json_form import SCHEMA
from radvit.report.priors import compare_reports
from radvit.report.verdicts import Criteria
from radvit.report.write import Answers, StudyWriter
from radvit.run.precision import released

log = logging.getLogger(__name__)

SETTING = "setting.json"


def infer(config: InferConfig) -> None:
    """Read every study under a folder into a report. Raises SomeInputsFailedError where some could not be read."""
    terminal.quiet_libraries()
    bundle = load_bundle(Path(config.checkpoint))
    check_input(Path(config.input.path))
    bands = Bands(config.report.high, config.report.moderate, config.report.mention)
    precision = released(bundle, config.precision)
    engine = open_engine(bundle, precision)
    explain = assemble.explainer(config.saliency, engine)
    writer = StudyWriter(
        output=Path(config.output),
        labels=bundle.labels,
        answers=Answers.BOXES if bundle.spec.task.localises else Answers.IMAGES,
        provenance=provenance(bundle, precision),
        bands=bands,
        language=config.report.language.value,
        mapped=explain is not None,
        criteria=criteria(config.report),
    )
    loader = assemble.loader(config.deid, config.read, bundle.preprocess.voi, config.input.select)
    check_same_setting(writer, loader, config.input.any, None if explain is None else explain.spec)
    with terminal.bar("reading studies", "studies") as advance:
        totals = predict_folder(
            Path(config.input.path),
            Path(config.output),
            loader,
            bundle.preprocess,
            BundleDetector(bundle, engine),
            refuse=(lambda _: None) if config.input.any else bundle.scope.refusal,
            finish=writer,
            workers=config.workers,
            batch_size=config.batch_size,
            progress=advance,
            written=writer.written,
            guard=assemble.guard(config.read),
            explain=explain,
        )
    compare_with_priors(writer)
    report_totals(totals, writer.output)


def criteria(config: ReportConfig) -> Criteria | None:
    """What decides a comparison with an earlier study; None where there is to be none."""
    return Criteria(config.change_mm, config.change_percent, config.within) if config.prior else None


def compare_with_priors(writer: StudyWriter) -> None:
    """Set every report of the output folder against the patient's earlier one, those of earlier runs too."""
    with terminal.bar("comparing with earlier studies", "patients") as advance:
        written = compare_reports(writer.output, writer.criteria, writer.language, advance)
    if written:
        log.info("%s written anew after comparing with earlier studies", counted(written, "report"))


def check_input(path: Path) -> None:
    """Raise ConfigError where there is nothing to read."""
    if not path.exists():
        raise ConfigError(f"input={path} does not exist; expected a DICOM file or a folder of them")
    if not path.is_file() and not any(inside.is_file() for inside in path.rglob("*")):
        raise ConfigError(f"input={path} is empty; expected a DICOM file or a folder of them")


def check_same_setting(
    writer: StudyWriter, loader: Loader, any_scope: bool, saliency: SaliencySpec | None = None
) -> None:
    """Remember what an output folder's reports are made with; going on there with something else is refused.

    Raises ConfigError where the folder holds reports of another model, precision, language, key, selection, scope,
    bands, saliency, way to treat dates or schema of findings.json.
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
    }
    path = writer.output / SETTING
    if path.is_file():
        before = known_setting(path)
        differing = sorted(name for name in record if before.get(name) != record[name])
        if differing:
            raise ConfigError(
                f"output={writer.output} holds reports made with another {', '.join(differing)}; name a new one"
            )
    writer.output.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n")


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
    where = f"{counts}; see {output / 'manifest.csv'}"
    if totals.failed or totals.refused or totals.files_failed:
        raise SomeInputsFailedError(where)
    log.info("%s", where)
