import json
import re

import numpy as np
import pytest
from starlette.testclient import TestClient

from radvit.cli import main
from radvit.report.write import write_study
from radvit.run.reviewing import Desk, application

from ..report.conftest import finding, report, study

NAME = "2.25.10"


@pytest.fixture
def desk(tmp_path):
    rng = np.random.default_rng(0)
    one = report([finding(0.9), finding(0.6, box=(300.0, 200.0, 340.0, 260.0))])
    images = study().images
    images[0].picture[:] = rng.integers(0, 255, images[0].picture.shape)
    write_study(tmp_path / NAME, one, images, "en")
    return Desk(tmp_path)


@pytest.fixture
def client(desk):
    return TestClient(application(desk), base_url="http://127.0.0.1:8321", follow_redirects=False)


def sent(desk, client, path, **form):
    return client.post(f"/study/{NAME}/{path}", data={"by": "Dr Who", "token": desk.token, **form})


def test_the_listing_leads_to_studies_and_their_files(client):
    page = client.get("/")
    assert page.status_code == 200
    assert f'href="/study/{NAME}"' in page.text
    assert "script-src" not in page.headers["content-security-policy"]
    text = client.get(f"/study/{NAME}").text
    for name in set(re.findall(rf"/study/{NAME}/([\w.-]+\.(?:png|html))", text)):
        assert client.get(f"/study/{NAME}/{name}").status_code == 200
    assert "confidence 0.90" in text


@pytest.mark.parametrize(
    "path",
    [f"/study/{NAME}/findings.json", f"/study/{NAME}/..%2F..%2Fetc%2Fpasswd", "/study/..%2F..", "/study/2.25.11", "/x"],
)
def test_nothing_else_is_given_out(path, client):
    assert client.get(path).status_code == 404


def test_decisions_are_kept_beside_the_report_and_signed(desk, client):
    before = (desk.output / NAME / "findings.json").read_bytes()
    assert sent(desk, client, "sign").status_code == 400
    assert sent(desk, client, "findings/1", action="accept").status_code == 303
    assert (
        sent(desk, client, "findings/2", action="edit", type="nodule", side="left", box="1, 2, 30, 40").status_code
        == 303
    )
    assert sent(desk, client, "findings/3", action="add", type="nodule", box="5 6 50 60", image="1").status_code == 303
    assert sent(desk, client, "sign").status_code == 303
    record = json.loads((desk.output / NAME / "review.json").read_text())
    assert [one["action"] for one in record["entries"]] == ["accept", "edit", "add"]
    assert [one["by"] for one in record["entries"]] == ["Dr Who"] * 3
    assert record["entries"][1]["type"] is None
    assert record["entries"][1]["side"] == "left"
    signed = client.get(f"/study/{NAME}/report.signed.html").text
    assert "Reviewed and signed by Dr Who" in signed
    assert "Findings 2 and 3 were changed by a person." in signed
    assert (desk.output / NAME / "findings.json").read_bytes() == before
    sent(desk, client, "findings/1", action="reject")
    assert "Not signed" in client.get(f"/study/{NAME}/report.signed.html").text


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({}, "choose accepted"),
        ({"action": "edit", "type": "nodule", "side": "right"}, "nothing was changed"),
        ({"action": "edit", "box": "1 2 3"}, "four numbers"),
        ({"action": "edit", "box": "1 2 3 9999"}, "within 600 x 800 pixels"),
        ({"action": "accept", "by": ""}, "name"),
    ],
)
def test_a_form_that_does_not_fit_is_shown_again_with_why(form, why, desk, client):
    answer = sent(desk, client, "findings/1", **form)
    assert answer.status_code == 400
    assert why in answer.text.replace("&lt;", "<")
    assert not (desk.output / NAME / "review.json").exists()


def test_forms_of_other_sites_and_other_hosts_are_refused(desk, client):
    assert sent(desk, client, "findings/1", action="accept", token="x").status_code == 403
    assert client.post(f"/study/{NAME}/findings/1", content=b"a=" + b"x" * 70000).status_code == 403
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    assert not (desk.output / NAME / "review.json").exists()


def test_a_damaged_review_is_named_and_left_alone(desk, client):
    (desk.output / NAME / "review.json").write_text("{")
    assert "not a review" in client.get("/").text
    assert sent(desk, client, "findings/1", action="accept").status_code == 404
    assert (desk.output / NAME / "review.json").read_text() == "{"


def test_export_writes_what_was_signed(desk, client, tmp_path, capsys):
    out = tmp_path / "truth.json"
    with pytest.raises(SystemExit) as ended:
        main(["review", str(desk.output), "--export", str(out)])
    assert ended.value.code == 2
    for number in (1, 2):
        sent(desk, client, f"findings/{number}", action="accept")
    sent(desk, client, "sign")
    main(["review", str(desk.output), "--export", str(out)])
    assert "2 boxes on 1 image; 1 of 1 signed" in capsys.readouterr().out
    assert len(json.loads(out.read_text())["annotations"]) == 2
