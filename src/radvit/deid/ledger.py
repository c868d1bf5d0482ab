"""Keep account of a batch as it runs: what the audit log is told of each file, and the counts of the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydicom.datadict import dictionary_VR, tag_for_keyword

from radvit.audit import Batch, Json
from radvit.deid.batch import Failure
from radvit.deid.batch_report import (
    AppliedOption,
    FileCounts,
    HeaderCounts,
    ModalityCounts,
    PixelCounts,
    Refusal,
    RescanCounts,
    Safeguards,
    WrittenCounts,
    attribute_counts,
    refusals,
)
from radvit.deid.burned_in import Depth, Mode
from radvit.deid.file_copy import FileScrubber, Written
from radvit.deid.options import CLEANED_DESCRIPTORS, Option, Options
from radvit.deid.reasons import FAILED, REASONS

_KINDS = ("patient", "study", "series")
_TEMPORAL = ("DA", "DT", "TM")


@dataclass(slots=True)
class Ledger:
    """Counts over the files of a batch, in the order in which they are added. failures: with their numbers, from 1."""

    done: Counter[tuple[str, str]] = field(default_factory=Counter)
    private: Counter[str] = field(default_factory=Counter)
    pixels: Counter[str] = field(default_factory=Counter)
    scan: Counter[str] = field(default_factory=Counter)
    images: dict[str, Counter[str]] = field(default_factory=dict)
    names: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    read: int = 0

    def add(self, outcome: Written | Failure, log: Batch) -> None:
        """Count one file, and write its line of the audit log."""
        self.read += 1
        if isinstance(outcome, Failure):
            self.failures.append(outcome)
            event = "deid.failed" if outcome.reason in FAILED else "deid.quarantined"
            log.append(event, number=len(self.failures), reason=outcome.reason)
            return
        self._count(outcome)
        log.append("deid.file", **line(outcome))

    def _count(self, written: Written) -> None:
        self.done.update(written.tally.done)
        self.private.update(removed=written.tally.private_removed, kept=written.tally.private_kept)
        self.pixels.update(searched=int(written.searched), blanked=int(written.blanked > 0))
        self.pixels.update(regions=written.blanked, allowed=written.allowed)
        self.scan.update(bytes=written.scan.searched, identifiers=written.scan.identifiers, hits=written.scan.hits)
        self.images.setdefault(written.modality, Counter())["images"] += 1
        for kind in _KINDS:
            self.names.setdefault(kind, set()).add((written.modality, getattr(written, kind)))

    @property
    def written(self) -> int:
        """Files written."""
        return self.read - len(self.failures)

    def files(self) -> FileCounts:
        """What became of the files."""
        failed = sum(failure.reason in FAILED for failure in self.failures)
        return FileCounts(self.read, self.written, len(self.failures) - failed, failed)

    def written_counts(self) -> WrittenCounts:
        """How many patients, studies, series and images were written."""
        patients, studies, series = (len({name for _, name in self._named(kind)}) for kind in _KINDS)
        return WrittenCounts(patients, studies, series, self.written)

    def modalities(self) -> tuple[ModalityCounts, ...]:
        """The same by modality."""
        return tuple(
            ModalityCounts(
                modality,
                sum(one == modality for one, _ in self._named("patient")),
                sum(one == modality for one, _ in self._named("study")),
                counts["images"],
            )
            for modality, counts in sorted(self.images.items())
        )

    def headers(self) -> HeaderCounts:
        """What was done to the headers' elements."""
        cleaned = Counter({name: count for (action, name), count in self.done.items() if action == "C"})
        shifted = sum(count for name, count in cleaned.items() if _vr(name) in _TEMPORAL)
        return HeaderCounts(
            attributes=attribute_counts(self.done),
            private_removed=self.private["removed"],
            private_kept=self.private["kept"],
            uids_replaced=sum(count for (action, _), count in self.done.items() if action == "U"),
            dates_shifted=shifted,
            texts_removed=sum(
                count for (action, name), count in self.done.items() if action == "X" and name in CLEANED_DESCRIPTORS
            ),
            texts_cleaned=cleaned.total() - shifted,
        )

    def pixel_counts(self) -> PixelCounts:
        """What was found in the pixels."""
        return PixelCounts(*(self.pixels[name] for name in ("searched", "blanked", "regions", "allowed")))

    def rescan(self) -> RescanCounts:
        """What the search of the written files was over, and found."""
        return RescanCounts(self.written, *(self.scan[name] for name in ("bytes", "identifiers", "hits")))

    def quarantined(self) -> tuple[Refusal, ...]:
        """Why files were put in quarantine."""
        return refusals(
            ((n, one.reason) for n, one in enumerate(self.failures, 1) if one.reason not in FAILED), REASONS
        )

    def failed(self) -> tuple[Refusal, ...]:
        """Why files failed."""
        return refusals(((n, one.reason) for n, one in enumerate(self.failures, 1) if one.reason in FAILED), REASONS)

    def _named(self, kind: str) -> set[tuple[str, str]]:
        return self.names.get(kind, set())


def line(written: Written) -> Mapping[str, Json]:
    """What the audit log is told of a file: pseudonyms, the attributes that were changed by action, counts."""
    changed: dict[str, list[str]] = {}
    for action, name in sorted(written.tally.done):
        if action != "K":
            changed.setdefault(action, []).append(name)
    return {
        "patient": written.patient,
        "study": written.study,
        "series": written.series,
        "image": written.image,
        "actions": changed,
        "private_removed": written.tally.private_removed,
        "regions_blanked": written.blanked,
        "identifiers_searched": written.scan.identifiers,
    }


def applied(options: Options) -> tuple[AppliedOption, ...]:
    """Every option, in force or not."""
    return tuple(AppliedOption(option.code, option.meaning, option in options, option.words) for option in Option)


def guards(scrubber: FileScrubber, project: bool) -> Safeguards:
    """The safeguards that a scrubber works with. project: whether its pseudonyms are of one."""
    how = scrubber.burned_in
    search = Option.CLEAN_PIXELS in scrubber.options and how.mode is not Mode.OFF
    return Safeguards(
        search=search,
        every_image=search and how.mode is Mode.ALWAYS,
        thorough=search and how.depth is Depth.THOROUGH,
        quarantine_unfound=search and how.captures and not how.allow_none,
        project=project,
    )


def _vr(name: str) -> str:
    tag = tag_for_keyword(name)
    return "" if tag is None else dictionary_VR(tag)
