"""One model over several data sets, from files to the table."""

import json

import pytest

from radvit import run
from radvit.bundle import load_bundle
from radvit.errors import ConfigError, DataError, SomeInputsFailedError
from radvit.evaluation.reading import read_metrics

from ..run_place import composed


def described(place, folder, name, **more):
    """A YAML file of the detector's cohort under another name."""
    cohort = place.folder / "cohort"
    keys = {"path": cohort / "dicom", "truth": cohort / "truth.json", "cache": place.folder / "cache", "workers": 0}
    (folder / f"{name}.yaml").write_text("".join(f"{key}: {value}\n" for key, value in {**keys, **more}.items()))
    return folder / f"{name}.yaml"


def test_sets_are_measured_as_by_evaluate_and_a_bad_one_costs_only_itself(place, copied, tmp_path):
    whole = described(place, tmp_path, "whole")
    other = described(place, tmp_path, "other", labels="[mass]")
    arguments = [f"external=[{whole},{other}]", "accept_seen=true", f"output={tmp_path / 'out'}", "groups=[]"]
    with pytest.raises(SomeInputsFailedError, match="1 external set measured; not other: see ") as caught:
        run.external(place.evaluate(copied, *arguments))
    assert "\n" not in str(caught.value)
    document = json.loads((tmp_path / "out" / "external.json").read_text())
    assert list(document["failed"]) == ["other"]
    (one,) = document["sets"]
    assert (one["name"], one["n_images"], one["seen_in_training"] != "") == ("whole", 24, True)
    assert document["model"]["weights"] == load_bundle(copied).weights_hash
    folder = tmp_path / "out" / "whole"
    assert all((folder / name).is_file() for name in ("metrics.json", "REPORT.md", "report.html", "boxes.csv"))
    assert one["metrics"]["froc/cpm"]["value"] == read_metrics(folder)["froc/cpm"].value
    internal = document["internal"]
    assert internal["n_images"] == 6
    expected = one["metrics"]["auroc"]["value"] - internal["metrics"]["auroc"]["value"]
    assert one["differences"]["auroc"]["value"] == pytest.approx(expected)
    assert "seen in training" in (tmp_path / "out" / "EXTERNAL.md").read_text()
    assert (tmp_path / "out" / "figures" / "external.png").is_file()


def test_without_any_set_that_can_be_measured_nothing_is_written(place, detector, tmp_path):
    other = described(place, tmp_path, "other", labels="[mass]")
    nowhere = described(place, tmp_path, "nowhere", path=tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no external set could be measured: other: .*; nowhere: ") as caught:
        run.external(place.evaluate(detector, f"external=[{other},{nowhere}]", f"output={tmp_path / 'out'}"))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out" / "external.json").exists()


def test_images_that_were_trained_on_are_refused_here_too(place, detector, tmp_path):
    whole = described(place, tmp_path, "whole")
    with pytest.raises(DataError, match=r"whole: split=test holds .* trained on"):
        run.external(place.evaluate(detector, f"external=[{whole}]", f"output={tmp_path / 'out'}"))


@pytest.mark.parametrize(
    "beside", ["data=phantom", "quantize=int8", "split=val", "groups_file=x.csv", "compare=[a,b]"], ids=lambda x: x[:5]
)
def test_what_does_not_go_beside_external_is_refused(beside):
    given = [] if beside.startswith("compare") else ["checkpoint=RUN"]
    with pytest.raises(
        ConfigError, match=f"external beside {beside.partition('=')[0]}; expected checkpoint and the data"
    ):
        composed("evaluate", *given, "external=[a.yaml]", beside)
