import json

import pytest

from radvit.deid.tables import FOLDER, build


@pytest.fixture(scope="module")
def made():
    actions = build.actions()
    return {"actions.json": actions, "types.json": build.types(build.needed(actions))}


@pytest.mark.parametrize("name", ["actions.json", "types.json"])
def test_the_tables_are_what_the_packages_say(made, name):
    assert json.loads((FOLDER / name).read_text()) == made[name]
