import json

import cv2
import numpy as np
import pydicom


def cells(line):
    return [cell.strip() for cell in line.split("│")]


def test_studies_and_what_would_be_refused(mixed_folder, ran):
    code, out, err = ran("inspect", "--workers", 0, mixed_folder)
    assert (code, err) == (1, ["radvit: 2 of 4 files would be refused"])
    assert cells(out[2]) == ["1", "1", "CT", "1", "128x128", "16", "explicit", "0.661 patient"]
    assert cells(out[3])[:5] == ["2", "2", "MR", "1", "64x64"]
    refused = {row[0]: row for row in map(cells, out[5:])}
    assert refused["not-dicom"][1::2] == ["1", "notes.txt"]
    assert refused["not-grayscale"][1::2] == ["1", "SC_rgb_small_odd.dcm"]
    assert out[-1] == "2 patients, 2 studies, 2 series, 2 files, 2 images; 2 of 4 files would be refused"


def test_identity_is_shown_only_if_asked_for(mixed_folder, ran):
    known = pydicom.dcmread(mixed_folder / "CT_small.dcm")
    identity = (str(known.PatientID), str(known.PatientName), str(known.StudyDate), str(known.StudyInstanceUID))
    for options in ([], ["--files"], ["--quick"], ["--json"]):
        _, out, err = ran("inspect", "--workers", 0, mixed_folder, *options)
        assert not [word for word in identity if word in "\n".join(out + err)]
    _, out, _ = ran("inspect", "--workers", 0, mixed_folder, "--identified")
    row = next(line for line in out if identity[0] in line)
    assert cells(row)[:4] == ["1", *identity[:3]]


def test_a_row_for_each_file(mixed_folder, ran):
    code, out, _ = ran("inspect", "--workers", 0, mixed_folder, "--files")
    assert code == 1
    rows = {cells(line)[1]: cells(line) for line in out if line.count("│") > 5}
    assert list(rows) == ["CT_small.dcm", "SC_rgb_small_odd.dcm", "deep/MR_small.dcm", "notes.txt"]
    assert rows["CT_small.dcm"][2:5] == ["CT", "128x128", "16"]
    assert rows["notes.txt"][-1].startswith("not-dicom: ")


def test_a_file_that_can_be_read_is_no_failure(mixed_folder, ran):
    code, out, err = ran("inspect", "--workers", 0, mixed_folder / "CT_small.dcm")
    assert (code, err) == (0, [])
    assert out[-1] == "1 patient, 1 study, 1 series, 1 file, 1 image; nothing would be refused"


def test_nothing(tmp_path, ran):
    assert ran("inspect", "--workers", 0, tmp_path / "nowhere") == (
        2,
        [],
        ["radvit: no file or folder at the given path"],
    )
    assert ran("inspect", "--workers", 0, tmp_path) == (0, [f"no files in {tmp_path}"], [])


def test_previews_are_named_by_the_number_of_their_file(mixed_folder, tmp_path, ran):
    target = tmp_path / "deep" / "png"
    _, out, _ = ran("inspect", "--workers", 0, mixed_folder, "--png", target)
    assert sorted(path.name for path in target.iterdir()) == ["0001.png", "0003.png"]
    assert cv2.imread(str(target / "0001.png"), cv2.IMREAD_UNCHANGED).shape == (128, 128)
    assert [cells(line)[-1] for line in out[2:4]] == ["1", "3"]
    code, _, err = ran("inspect", "--workers", 0, mixed_folder, "--png", target, "--quick")
    assert code == 2
    assert "expected one of the two" in err[-1]


def test_rules(mixed_folder, tmp_path, ran):
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps({"include": [{"Modality": "MR"}]}))
    code, out, _ = ran("inspect", "--workers", 0, mixed_folder, "--select", rules)
    assert code == 1
    assert next(row for row in map(cells, out) if row[0] == "not-selected")[-1] == "CT_small.dcm"
    assert "1 patient, 1 study" in out[-1]
    rules.write_text("{}")
    assert ran("inspect", "--workers", 0, mixed_folder, "--select", rules)[0] == 2


def test_json(mixed_folder, ran):
    code, out, err = ran("inspect", "--workers", 0, mixed_folder, "--json")
    assert (code, len(err)) == (1, 1)
    records = [json.loads(line) for line in out]
    assert [record["no"] for record in records] == [1, 2, 3, 4]
    assert [record["refused"] for record in records] == ["", "not-grayscale", "", "not-dicom"]
    assert (records[0]["modality"], records[0]["size_px"], records[0]["plane"]) == ("CT", [128, 128], "patient")
    assert "preview" not in records[0]


def test_a_study_of_several_series(grey_file, tmp_path, ran):
    axial = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [1, 2], "Modality": "CT"}
    for number, height in enumerate((4, 0, 2, 8)):
        pixels = np.arange(16, dtype=np.uint16).reshape(4, 4)
        grey_file(
            pixels, f"s/{number}.dcm", ImagePositionPatient=[0, 0, height], SOPInstanceUID=f"1.2.{number}", **axial
        )
    grey_file(np.arange(20, dtype=np.uint16).reshape(4, 5), "s/t.dcm", SeriesInstanceUID="1.9", BodyPartExamined="HEAD")
    code, out, _ = ran("inspect", "--workers", 0, tmp_path / "s")
    assert code == 0
    rows = [cells(line) for line in out[2:5]]
    assert rows[0][:4] == ["1", "1", "CR, CT: 2 series", "5"]
    assert rows[1][0] == "1.1"
    assert rows[1][2:5] == ["CT: every 2 mm; 1 missing after slice 3", "4", "4x4"]
    assert rows[1][-1] == "1 x 2 patient"
    assert rows[2][2:4] == ["CR HEAD", "1"]
