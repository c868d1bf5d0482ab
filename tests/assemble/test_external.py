import pytest

from radvit import assemble
from radvit.config import SourceKind, SplitKind, TruthFormat
from radvit.errors import ConfigError

from ..run_place import CONF


def test_a_file_of_the_data_group_is_a_set_named_after_it():
    sets = assemble.external_sets([str(CONF / "data" / "rsna.yaml"), str(CONF / "data" / "nih.yaml")], ["nodule"])
    assert list(sets) == ["rsna", "nih"]
    rsna, nih = sets.values()
    assert (rsna.format, rsna.labels, rsna.truth) == (
        TruthFormat.rsna,
        ["pneumonia"],
        "data/rsna/stage_2_train_labels.csv",
    )
    assert (rsna.split.train, rsna.split.val, rsna.split.test) == (0.0, 0.0, 1.0)  # all of it
    assert nih.split.chosen is SplitKind.official  # its own test split


def test_every_file_of_the_data_group_but_the_runs_own_can_be_named():
    paths = [str(path) for path in sorted((CONF / "data").glob("*.yaml")) if path.stem != "run"]
    assert len(assemble.external_sets(paths, ["nodule"])) == len(paths) > 10


def test_a_file_may_hold_several_sets(tmp_path):
    path = tmp_path / "sites.yaml"
    path.write_text("site_b:\n  data: {path: b, truth: b.json}\nsite-c:\n  data: {path: c, kind: folder, labels: []}\n")
    sets = assemble.external_sets([str(path)], ["nodule", "mass"])
    assert [(name, one.path, one.kind, one.labels) for name, one in sets.items()] == [
        ("site_b", "b", SourceKind.dicom, ["nodule", "mass"]),
        ("site-c", "c", SourceKind.folder, []),
    ]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "holds no data set"),
        ("- a\n- b\n", "holds no data set"),
        ("path: [", "can't be read as YAML"),
        ("pathh: b\n", "pathh"),
        ("image_size: huge\n", "huge"),
        ("workers: -1\n", r"data\.workers=-1"),
        ("kind: run\n", "kind=run is the model's own data"),
        ("defaults: [rsna]\n", "defaults other than schema"),
        ("b:\n  data: b.json\n", "b.data is no mapping"),
        ("internal:\n  data: {path: b}\n", "a data set named internal"),
        ("../b:\n  data: {path: b}\n", r"a data set named \.\./b"),
    ],
)
def test_what_is_no_data_set_is_refused_in_a_line(tmp_path, text, match):
    path = tmp_path / "site.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=match) as caught:
        assemble.external_sets([str(path)], ["nodule"])
    assert str(caught.value).startswith("external=")
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_name_that_stands_twice(tmp_path):
    with pytest.raises(ConfigError, match=r"external=.*none\.yaml can't be read as YAML \(FileNotFoundError\)"):
        assemble.external_sets([str(tmp_path / "none.yaml")], [])
    (tmp_path / "a.yaml").write_text("path: a\n")
    with pytest.raises(ConfigError, match="a data set named a; expected letters, a name of its own each"):
        assemble.external_sets([str(tmp_path / "a.yaml")] * 2, [])
