"""Reports made wrong: what a form says of one finding is changed, and nothing else."""

import html
import json
import re
from io import BytesIO

from pydicom import dcmread

from radvit.report import wording, wording_comparison
from radvit.report.codes import VERDICTS
from radvit.report.sr_tree import fitted
from radvit.report.verdicts import Verdict

SIDES = {"en": {"left": "right", "right": "left"}, "zh": {"左": "右", "右": "左"}}
BANDS = {
    "en": ("highly suspicious", "suspicious", "low confidence"),
    "zh": ("高度可疑", "可疑", "低置信度"),
}


def wrong_sentence(sentence, what, language, rng):
    """A finding's sentence with another side, size, confidence or band; None where it tells none of that."""
    if what == "side":
        found = re.search("|".join(SIDES[language]), sentence)
        return None if found is None else _replaced(sentence, found, SIDES[language][found[0]])
    if what == "size":
        found = re.search(r"(\d+(?:\.\d)?) mm", sentence)
        return None if found is None else _replaced(sentence, found, f"{float(found[1]) + 1 + rng.integers(9):.0f} mm")
    if what == "score":
        found = re.search(r"0\.\d\d(?=[,，])|1\.00(?=[,，])", sentence)
        return None if found is None else _replaced(sentence, found, "0.31" if found[0] != "0.31" else "0.32")
    there = next(band for band in BANDS[language] if sentence.rstrip(".。").endswith(band))
    other = next(band for band in BANDS[language] if band not in there and there not in band)
    end = sentence[len(sentence.rstrip(".。")) :]
    return sentence.rstrip(".。").removesuffix(there) + other + end


def wrong_resource(text, what, rng):
    """A FHIR bundle of which one observation says something else; None where none can."""
    bundle = json.loads(text)
    found = [one["resource"] for one in bundle["entry"] if "component" in one["resource"]]  # the findings
    if what == "count":
        if not found:
            return None
        bundle["entry"] = [one for one in bundle["entry"] if one["resource"] is not found[-1]]
        return json.dumps(bundle)
    for one in rng.permutation(len(found)):
        parts = {part["code"]["coding"][0]["code"]: part for part in found[one]["component"]}
        if what == "side" and "bodySite" in found[one]:
            side = found[one]["bodySite"]["coding"][1]
            side["code"] = {"7771000": "24028007", "24028007": "7771000"}[side["code"]]
        elif what == "size" and "size" in parts:
            parts["size"]["valueQuantity"]["value"] += 0.5
        elif what == "score":
            parts["confidence"]["valueQuantity"]["value"] *= 0.99
        elif what == "band":
            band = parts["band"]["valueCodeableConcept"]["coding"][0]
            band["code"] = "low" if band["code"] == "high" else "high"
        else:
            continue
        return json.dumps(bundle)
    return None


def wrong_tree(data, what, rng):
    """A Structured Report of which one group says something else; None where none can."""
    dataset = dcmread(BytesIO(data))
    (measurements,) = [one for one in dataset.ContentSequence if _name(one) == "Imaging Measurements"]
    groups = [one for one in measurements.get("ContentSequence", []) if _name(one) == "Measurement Group"]
    if what == "count":
        if not groups:
            return None
        measurements.ContentSequence = [one for one in measurements.ContentSequence if one is not groups[-1]]
        return _bytes(dataset)
    for one in rng.permutation(len(groups)):
        if _make_wrong(groups[one], what):
            return _bytes(dataset)
    return None


def _make_wrong(group, what):
    for node in group.ContentSequence:
        if what == "side" and _name(node) == "Finding Site" and "ContentSequence" in node:
            code = node.ContentSequence[0].ConceptCodeSequence[0]
            code.CodeValue = {"7771000": "24028007", "24028007": "7771000"}[code.CodeValue]
            return True
        if (what, _name(node)) in (("size", "Long Axis"), ("score", "Confidence")):
            number = node.MeasuredValueSequence[0]
            number.NumericValue = f"{float(number.NumericValue) * 0.9:.6g}"
            number.pop("FloatingPointValue", None)
            return True
        if what == "band" and node.ValueType == "CODE" and "suspic" in node.ConceptCodeSequence[0].CodeMeaning:
            node.ConceptCodeSequence[0].CodeValue = "low"
            return True
    return False


def _name(node):
    return node.ConceptNameCodeSequence[0].CodeMeaning if "ConceptNameCodeSequence" in node else ""


def _bytes(dataset):
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _replaced(text, found, by):
    return text[: found.start()] + by + text[found.end() :]


def wrong_change_of_page(page, what, change, language):
    """A page that says something else of one change; None where it says nothing of that kind."""
    w = wording.words(language)
    word, reason = wording_comparison.change(change, w)
    shown = _shown(word, reason)
    start = page.index(shown)
    if what == "gone":
        return page[: page.rindex("<li", 0, start)] + page[start + len(shown) :]
    wrong = _wrong_words(word, reason, what, w)
    if wrong is None:
        return None
    return page[:start] + _shown(*wrong) + page[start + len(shown) :]


def wrong_change_of_bundle(text, what, change, language):
    """A FHIR bundle that says something else of one change, as data where it can; None where it says none of that."""
    bundle = json.loads(text)
    resources = [one["resource"] for one in bundle["entry"]]
    parts = {}
    for one in resources:
        if "component" in one and one["identifier"][0]["value"] == str(change.number):
            parts = {part["code"]["coding"][0]["code"]: part for part in one["component"]}
    if what == "verdict" and "verdict" in parts:
        parts["verdict"]["valueCodeableConcept"]["coding"][-1]["code"] = _other(change.verdict).value
        return json.dumps(bundle)
    if what == "standard" and change.verdict in VERDICTS and "verdict" in parts:
        other = Verdict.SHRUNK if change.verdict is Verdict.GROWN else Verdict.GROWN
        parts["verdict"]["valueCodeableConcept"]["coding"][0]["code"] = VERDICTS[other].value
        return json.dumps(bundle)
    if what == "mm" and "change" in parts:
        parts["change"]["valueQuantity"]["value"] += 0.01
        return json.dumps(bundle)
    if what == "direction" and "interpretation" in parts.get("change", {}):
        parts["change"]["interpretation"][0]["coding"][0]["code"] = "N"
        return json.dumps(bundle)
    sentence = _told(change, language)
    for one in resources if what == "gone" else ():
        if "conclusion" in one:
            one["conclusion"] = one["conclusion"].replace(sentence, "", 1)
    return json.dumps(bundle) if what == "gone" else None


def wrong_change_of_tree(data, what, change, language):
    """A Structured Report that says something else of one change, as data where it can; None where it says none."""
    dataset = dcmread(BytesIO(data))
    by_name = {_name(one): one for one in dataset.ContentSequence}
    evaluations = by_name["Qualitative Evaluations"]
    if what == "gone":
        sentence = fitted(_told(change, language))
        kept = [one for one in evaluations.ContentSequence if one.TextValue != sentence]
        evaluations.ContentSequence = kept
        return _bytes(dataset)
    for group in by_name["Imaging Measurements"].get("ContentSequence", ()):
        nodes = {_name(one): one for one in group.ContentSequence}
        if nodes["Tracking Identifier"].TextValue != f"Finding {change.number}":
            continue
        if what == "verdict":
            known, other = VERDICTS.get(_other(change.verdict)), _other(change.verdict)
            code = nodes["Qualitative Difference"].ConceptCodeSequence[0]
            code.CodeValue = f"verdict.{other.value}" if known is None else known.value
            code.pop("LongCodeValue", None)
            return _bytes(dataset)
        if what == "mm" and "Difference in size" in nodes:
            number = nodes["Difference in size"].MeasuredValueSequence[0]
            number.NumericValue = f"{float(number.NumericValue) + 0.01:.6g}"
            number.pop("FloatingPointValue", None)
            return _bytes(dataset)
    return None


def wrong_prior(data, form):
    """A bundle or a Structured Report that names another earlier study; None where it names none."""
    if isinstance(data, str):
        bundle = json.loads(data)
        studies = [one["resource"] for one in bundle["entry"] if one["resource"]["resourceType"] == "ImagingStudy"]
        if len(studies) < 2:
            return None
        studies[1].update(
            {"uid": {"identifier": [{"value": "urn:oid:2.25.1"}]}, "date": {"started": "2019-02-04"}}[form]
        )
        return json.dumps(bundle)
    dataset = dcmread(BytesIO(data))
    (evaluations,) = [one for one in dataset.ContentSequence if _name(one) == "Qualitative Evaluations"]
    for sentence in evaluations.ContentSequence:
        for node in sentence.get("ContentSequence", ()):
            if form == "uid" and node.ValueType == "UIDREF":
                node.UID = "2.25.1"
                return _bytes(dataset)
            if form == "date" and node.ValueType == "DATE":
                node.Date = "20190204"
                return _bytes(dataset)
    return None


def _shown(word, reason):
    """A change as the page's template writes it."""
    told = html.escape(reason, quote=False).replace("'", "&#39;")
    return f'<span class="verdict">{word}</span> {told}</li>'


def _told(change, language):
    w = wording.words(language)
    return w["change.colon"].join(wording_comparison.change(change, w))


def _wrong_words(word, reason, what, w):
    if what == "mm":
        found = re.search(r"[(（]([+\N{MINUS SIGN}]?\d+\.\d) mm", reason)
        return None if found is None else (word, reason[: found.start(1)] + "+77.7" + reason[found.end(1) :])
    verdict = next(one for one in Verdict if w[f"verdict.{one.value}"] == word)
    return w[f"verdict.{_other(verdict).value}"], reason


def _other(verdict):
    """The verdict that comes next."""
    every = list(Verdict)
    return every[(every.index(verdict) + 1) % len(every)]
