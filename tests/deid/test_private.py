import pytest
from pydicom import Dataset
from pydicom.tag import Tag

from radvit.deid.private import creators_of, is_safe


def with_element(creator, group, element, vr, value):
    dataset = Dataset()
    block = dataset.private_block(group, creator, create=True)
    block.add_new(element, vr, value)
    return dataset, Tag(group, 0x1000 | element)


@pytest.mark.parametrize(
    ("creator", "group", "element", "vr", "value", "safe"),
    [("SIEMENS MR HEADER", 0x0019, 0x0C, "IS", "1000", True),
     ("Philips Imaging DD 001", 0x2001, 0x03, "FL", 800.0, True),
     ("GEMS_PARM_01", 0x0043, 0x39, "IS", ["1", "2"], True),
     ("SIEMENS MR HEADER", 0x0019, 0x0C, "LO", "Roe", False),  # no number, whatever its place
     ("SIEMENS MR HEADER", 0x0019, 0x0B, "IS", "1", False),
     ("Siemens MR Header", 0x0019, 0x0C, "IS", "1", False),
     ("JANE", 0x0019, 0x0C, "IS", "1", False)],
)  # fmt: skip
def test_only_numbers_of_the_list_under_their_own_creator(creator, group, element, vr, value, safe):
    dataset, tag = with_element(creator, group, element, vr, value)
    assert is_safe(dataset, tag) == safe


def test_creators_and_orphans_are_not_safe_by_themselves():
    dataset, tag = with_element("SIEMENS MR HEADER", 0x0019, 0x0C, "IS", "1")
    assert not is_safe(dataset, Tag(0x0019, 0x0010))
    del dataset[0x0019, 0x0010]
    assert not is_safe(dataset, tag)


def test_each_creator_once():
    kept = [Tag(0x0019, 0x100C), Tag(0x0019, 0x100D), Tag(0x0019, 0x1127), Tag(0x2001, 0x1003)]
    assert creators_of(kept) == [Tag(0x0019, 0x0010), Tag(0x0019, 0x0011), Tag(0x2001, 0x0010)]
    assert creators_of([]) == []
