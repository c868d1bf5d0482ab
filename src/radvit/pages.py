"""Pages of HTML that need nothing else: a template that escapes all it is given, its style sheet and script within."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


@dataclass(frozen=True, slots=True)
class Page:
    """A compiled template, its style sheet and script, and their hashes for the page's content security policy."""

    template: Template
    style: str
    script: str

    @property
    def style_hash(self) -> str:
        """The style sheet's source expression."""
        return _sha256(self.style)

    def render(self, **values: object) -> str:
        """The page as HTML. The template finds `style`, `style_hash`, `script` and `script_hash`."""
        own = {"style": self.style, "style_hash": self.style_hash}
        own |= {"script": self.script, "script_hash": _sha256(self.script)}
        return self.template.render(**own, **values)


@cache
def load(package: str, name: str, base: str = "") -> Page:
    """`templates/NAME.html` of a package with NAME.css and, where there is one, NAME.js.

    base: name of a style sheet that NAME.css adds to.
    """
    environment = Environment(
        loader=PackageLoader(package), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    folder = resources.files(package).joinpath("templates")
    sheets = [folder.joinpath(f"{sheet}.css").read_text(encoding="utf-8") for sheet in (base, name) if sheet]
    script = folder.joinpath(f"{name}.js")
    code = script.read_text(encoding="utf-8") if script.is_file() else ""
    return Page(environment.get_template(f"{name}.html"), "".join(sheets), code)


def _sha256(text: str) -> str:
    """A source expression of a content security policy (CSP Level 3, 2.3.1)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
