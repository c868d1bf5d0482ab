import base64
import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from starlette.testclient import TestClient

from radvit.cli import main
from radvit.report.review import reviewed
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
    text = client.get(f"/study/{NAME}").text
    names = set(re.findall(rf"/study/{NAME}/([\w.-]+\.(?:jpg|html))", text))
    assert names == {"image-1.jpg", "report.html"}
    for name in names:
        assert client.get(f"/study/{NAME}/{name}").status_code == 200
    assert "confidence 0.90" in text


def test_the_pages_run_their_own_script_alone(client):
    for path in ("/", f"/study/{NAME}"):
        page = client.get(path)
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        head, _, rest = page.text.partition("<style>")
        (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', head)
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        for part, code in re.findall(r"<(script|style)>(.*?)</\1>", "<style>" + rest, re.DOTALL):
            digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
            assert f"{part}-src 'sha256-{digest}'" in policy
        assert page.text.count("<script") == (path != "/")


def test_pictures_are_without_marks_where_the_report_holds_them(desk, client):
    plain = client.get(f"/study/{NAME}/image-1.jpg")
    assert plain.headers["content-type"] == "image/jpeg"
    (desk.output / NAME / "report.html").unlink()
    marked = client.get(f"/study/{NAME}/image-1.jpg")
    assert marked.status_code == 200
    assert marked.content != plain.content
    assert client.get(f"/study/{NAME}/image-2.jpg").status_code == 404


def boxes(desk):
    one = desk.opened(NAME)
    return {found.number: found.box_px for found in reviewed(one.report, one.review)}


def test_a_later_change_keeps_an_earlier_one(desk, client):
    sent(desk, client, "findings/2", action="edit", type="nodule", side="right", box="1.0, 2.0, 30.0, 40.0")
    sent(desk, client, "findings/2", action="edit", type="nodule", side="left", box="1.0, 2.0, 30.0, 40.0")
    sent(desk, client, "findings/3", action="add", type="nodule", box="5 6 50 60", image="1")
    sent(desk, client, "findings/3", action="edit", type="nodule", box="5 6 70 80")
    sent(desk, client, "findings/3", action="edit", type="nodule", side="left", box="5.0, 6.0, 70.0, 80.0")
    assert boxes(desk) == {1: (100, 50, 150, 120), 2: (1, 2, 30, 40), 3: (5, 6, 70, 80)}
    last = desk.opened(NAME).review.decided()
    assert (last[2].side, last[3].side) == ("left", "left")
    assert len(desk.opened(NAME).review.entries) == 5


def test_decisions_at_once_are_all_kept(desk):
    def decide(note):
        desk.decide(NAME, 1, {"action": "accept", "by": "Dr Who", "note": note})

    notes = [f"note {i}" for i in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decide, notes))
    assert sorted(entry.note for entry in desk.opened(NAME).review.entries) == sorted(notes)


def test_a_change_to_what_the_model_said_is_none(desk, client):
    sent(desk, client, "findings/1", action="edit", box="1 2 30 40")
    answer = sent(
        desk, client, "findings/1", action="edit", type="nodule", side="right", box="100.0, 50.0, 150.0, 120.0"
    )
    assert answer.status_code == 400
    assert sent(desk, client, "findings/1", action="accept", box="1.0, 2.0, 30.0, 40.0").status_code == 303
    assert boxes(desk)[1] == (100, 50, 150, 120)


def test_what_was_typed_is_not_lost_to_an_error(desk, client):
    answer = sent(desk, client, "findings/3", action="add", type="nodule", box="1 2 3 9999", note='a "note"', image="1")
    assert answer.status_code == 400
    assert 'value="1 2 3 9999"' in answer.text
    assert 'value="a &#34;note&#34;"' in answer.text
    assert 'value="300.0, 200.0, 340.0, 260.0"' in answer.text  # the others are as they were


def test_a_name_is_kept_in_any_script(desk, client):
    sent(desk, client, "findings/1", action="accept", by='王 "医生"; x=1')
    assert 'value="王 &#34;医生&#34;; x=1"' in client.get(f"/study/{NAME}").text


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
        ({"action": "accept", "type": "nodule", "side": "left"}, "choose changed"),
        ({"action": "accept", "box": "1 2 3 4"}, "choose changed"),
        ({"action": "edit", "type": "</select><b>"}, "expected one of nodule"),
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
    sent(desk, client, "findings/3", action="add", type="nodule", box="5 6 50 60", image="1")
    sent(desk, client, "sign")
    main(["review", str(desk.output), "--export", str(out)])
    assert "3 boxes on 1 image; 1 of 1 signed" in capsys.readouterr().out
    *found, added = json.loads(out.read_text())["annotations"]
    assert [one["reviewed"] for one in found] == ["accept"] * 2
    assert (added["reviewed"], added["bbox"]) == ("add", [5, 6, 45, 54])
