"""What a page of HTML shows, read as a browser reads it: its text, its findings, its impression."""

from __future__ import annotations

from html.parser import HTMLParser

UNSEEN = frozenset({"style", "script", "title"})
VOID = frozenset({"meta", "img", "br", "input", "link", "hr", "rect", "path", "line", "col", "wbr"})


class PageText(HTMLParser):
    """Feed it a page. text: all that is shown. findings: number and sentence of each entry of the list of findings."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.findings: list[tuple[str, str]] = []
        self.impression: list[str] = []
        self.language = ""
        self._open: list[tuple[str, frozenset[str]]] = []
        self._number = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note where the text to come stands."""
        given = dict(attrs)
        if tag == "html":
            self.language = given.get("lang") or ""
        if tag in VOID:
            return
        classes = frozenset((given.get("class") or "").split())
        self._open.append((tag, classes))
        if tag == "p" and self._within("section", "impression"):
            self.impression.append("")
        if tag == "p" and self._within("ol", "findings") and self._number:
            self.findings.append((self._number, ""))
            self._number = ""
        if tag == "li" and self._within("ol", "findings"):
            self._number = ""

    def handle_endtag(self, tag: str) -> None:
        """Leave an element, with those in it that were never closed."""
        if any(open_tag == tag for open_tag, _ in self._open):
            while self._open.pop()[0] != tag:
                pass

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element that is closed as it is opened holds no text."""

    def handle_data(self, data: str) -> None:
        """Text, where it is shown."""
        if not data.strip() or any(tag in UNSEEN for tag, _ in self._open):
            return
        self.text.append(" ".join(data.split()))
        tag, classes = self._open[-1] if self._open else ("", frozenset())
        if self._within("ol", "findings") and "number" in classes:
            self._number += data.strip()
        elif tag == "p" and self._within("ol", "findings") and not classes and self.findings:
            number, sentence = self.findings[-1]
            self.findings[-1] = number, sentence + data
        elif tag == "p" and self._within("section", "impression") and self.impression:
            self.impression[-1] += data

    def _within(self, tag: str, name: str) -> bool:
        return any(open_tag == tag and name in classes for open_tag, classes in self._open)
