from radvit.data.sources.official import official


def test_no_split_is_none():
    assert official([None, None], ["a", "b"]) is None
    assert official([], []) is None


def test_items_without_a_split_are_in_none():
    assert official(["test", None, "train", "val"], [0, 1, 2, 3]) == {"train": (2,), "val": (3,), "test": (0,)}


def test_every_eighth_patient_of_train_is_validation_where_there_is_none():
    patients = [f"p{i // 2}" for i in range(40)]  # two images each
    splits = ["train"] * 36 + ["test"] * 4
    parts = official(splits, patients)
    assert parts["val"] == (14, 15, 30, 31)
    assert sorted(parts["train"] + parts["val"]) == list(range(36))
    assert not {patients[i] for i in parts["train"]} & {patients[i] for i in parts["val"]}
    assert parts["test"] == (36, 37, 38, 39)
