"""report.html: the page of REPORT.md as one file that needs no other, with its figures inside."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from radvit import pages


def html_page(text: str, folder: Path) -> str:
    """Markdown as a page of HTML. Figures are read from the folder; HTML within the text is shown, not obeyed.

    Raises OSError where a figure is missing.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    _dress(tokens, folder)
    heading = next((tokens[i + 1].content for i, token in enumerate(tokens) if token.tag == "h1"), "Evaluation")
    body = Markup(parser.renderer.render(tokens, parser.options, {}))  # made of escaped text, see above
    return pages.load("radvit.evaluation", "evaluation").render(title=heading, body=body)


def _dress(tokens: Sequence[Token], folder: Path) -> None:
    """Put figures into the page, and classes in place of styles, which the page's content security policy forbids."""
    for i, token in enumerate(tokens):
        if token.type in ("th_open", "td_open") and "right" in str(token.attrs.pop("style", "")):
            token.attrs["class"] = "right"
        children = token.children or ()
        for child in children:
            if child.type == "image":
                child.attrs["src"] = data_url(folder / str(child.attrs["src"]))
        if [child.type for child in children] == ["em_open", "text", "em_close"]:
            tokens[i - 1].attrs["class"] = "caption"


def data_url(path: Path) -> str:
    """A PNG as the address of itself."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
