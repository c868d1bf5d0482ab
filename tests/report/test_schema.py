import json

import jsonschema
import pytest

from radvit.report.json_form import SCHEMA, to_dict
from radvit.report.schema import misfits, schema_text

from .random_reports import drawn
from .test_json_read import full


def plain(report):
    return json.loads(json.dumps(to_dict(report)))


def test_the_schema_is_one_and_speaks_of_this_version():
    schema = json.loads(schema_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"]["schema"]["const"] == SCHEMA


def test_reports_fit(make):
    assert misfits(plain(full(make))) == []
    for seed in range(50):
        assert misfits(plain(drawn(seed))) == [], seed


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("findings", 0, "score"), 1.5),
        (("findings", 0, "box_px"), [1, 2, 3]),
        (("findings", 0, "location", "side"), "middle"),
        (("impression",), "healthy"),
        (("research_use_only",), False),
        (("images", 0, "rows"), 0),
        (("surprise",), 1),
    ],
)
def test_what_does_not_fit_is_named(path, value, make):
    form = plain(full(make))
    place = form
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (found,) = misfits(form)
    assert found.startswith("findings.json: $")
