"""Reports made wrong: what a form says of one finding is changed, and nothing else."""

import json
import re
from io import BytesIO

from pydicom import dcmread

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
