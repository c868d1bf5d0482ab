"""A place in a file that is being made: sets an attribute and writes into the answer key what must become of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.tag import BaseTag, Tag

from radvit.bench.deid.answer import Category, Check, Row, words_of
from radvit.bench.deid.people import Subject

DESCRIPTORS, DATES, CHARACTERISTICS, SAFE_PRIVATE = (
    "clean-descriptors",
    "modified-dates",
    "patient-characteristics",
    "safe-private",
)
DIRECT, INDIRECT, NONE = Category.DIRECT, Category.INDIRECT, Category.NONE


@dataclass(frozen=True, slots=True)
class Place:
    """A data set or an item of one. prefix: the path to it, with its slash. kind: of what is planted from here on.

    A path's steps are tags of eight hexadecimal digits, `[n]` behind that of a sequence, and `gggg:creator:ee` for an
    attribute of a private block; the file meta group is no different. rows: of this file.
    """

    dataset: Dataset
    subject: Subject
    file: str
    rows: list[Row]
    prefix: str = ""
    kind: str = "header"

    def named(self, kind: str) -> Place:
        """The same place for plants of another kind."""
        return replace(self, kind=kind)

    def item(self, keyword: str | int) -> Place:
        """A new item of a sequence."""
        tag = tag_of(keyword)
        if tag not in self.dataset:
            self.dataset.add(DataElement(tag, "SQ", []))
        items = self.dataset[tag].value
        items.append(Dataset())
        return replace(self, dataset=items[-1], prefix=f"{self.prefix}{tag:08X}[{len(items) - 1}]/")

    def put(self, keyword: str | int, value: Any, vr: str = "") -> str:
        """Set an attribute, and take back what the key asked of an earlier value. Returns its path."""
        tag = tag_of(keyword)
        path = f"{self.prefix}{tag:08X}"
        if tag in self.dataset:
            self.rows[:] = [row for row in self.rows if row.path != path]
        self.dataset.add(DataElement(tag, vr or _vr(tag), value))
        return path

    def private(self, group: int, creator: str, element: int, vr: str, value: Any) -> str:
        """Set a private attribute. Returns its path."""
        block = self.dataset.private_block(group, creator, create=True)
        block.add_new(element, vr, value)
        return f"{self.prefix}{group:04X}:{creator}:{element:02X}"

    def kept(self, keyword: str | int, value: Any, option: str = "", vr: str = "") -> None:
        """An attribute that must keep its value, unless a word of it is the patient's own name."""
        path = self.put(keyword, value, vr)
        text = as_text(value)
        if self.subject.is_named_in(text):
            return
        self.ask(path, Check.TEXT_RETAINED, NONE, text, words_of(text), option)

    def present(self, keyword: str | int, value: Any, filled: bool = True, option: str = "") -> None:
        """An attribute that must stay; filled: with some value."""
        path = self.put(keyword, value)
        self.ask(path, Check.TEXT_NOTNULL if filled else Check.TAG_RETAINED, NONE, as_text(value), (), option)

    def removed(
        self,
        keyword: str | int,
        value: Any,
        category: Category = DIRECT,
        words: Sequence[str] | None = None,
        vr: str = "",
    ) -> str:
        """An attribute of which no word may stay, or none of those given. Returns its path."""
        path = self.put(keyword, value, vr)
        text = as_text(value)
        self.ask(path, Check.TEXT_REMOVED, category, text, words_of(text) if words is None else tuple(words))
        return path

    def absent(self, keyword: str | int, value: Any, category: Category = INDIRECT, vr: str = "") -> None:
        """An attribute that may keep no value at all."""
        path = self.put(keyword, value, vr)
        self.ask(path, Check.TEXT_REMOVED, category, "(binary)")

    def cleaned(
        self,
        keyword: str | int,
        text: str,
        gone: Sequence[str],
        stays: Sequence[str],
        category: Category = DIRECT,
        option: str = DESCRIPTORS,
    ) -> None:
        """A text of which some words must go and others stay."""
        path = self.put(keyword, text)
        if gone:
            self.ask(path, Check.TEXT_REMOVED, category, text, tuple(gone))
        if stays:
            self.ask(path, Check.TEXT_RETAINED, NONE, text, tuple(stays), option)

    def shifted(self, keyword: str | int, date: str, category: Category = INDIRECT, filled: bool = False) -> None:
        """A date, or date and time, that must not stay; filled: another must stand in its place."""
        path = self.put(keyword, date)
        self.ask(path, Check.DATE_SHIFTED, category, date, (date[:8],))
        if filled:
            self.ask(path, Check.TEXT_NOTNULL, NONE, date, (), DATES)

    def uid(self, keyword: str | int, uid: str | Sequence[str], filled: bool = False) -> None:
        """A UID that leads back, which must change, and in the same way wherever it stands."""
        path = self.put(keyword, uid)
        uids = (uid,) if isinstance(uid, str) else tuple(uid)
        for check in (Check.UID_CHANGED, Check.UID_CONSISTENT):
            self.ask(path, check, DIRECT, as_text(uid), uids)
        if filled:
            self.ask(path, Check.TEXT_NOTNULL, NONE, as_text(uid))

    def ask(
        self, path: str, check: Check, category: Category, value: str, expected: Sequence[str] = (), option: str = ""
    ) -> None:
        """Write a row of the key."""
        number = self.subject.number
        self.rows.append(
            Row(self.file, path, check, category, value, tuple(expected), self.kind, number, option=option)
        )


def tag_of(keyword: str | int) -> BaseTag:
    """The tag of a keyword; a number is one already."""
    if isinstance(keyword, int):
        return Tag(keyword)
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return Tag(tag)


def as_text(value: Any) -> str:
    """A value, or several, as one text."""
    if isinstance(value, (list, tuple)):
        return "\\".join(map(str, value))
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _vr(tag: BaseTag) -> str:
    return str(dictionary_VR(tag).split(" or ")[0])
