"""Pages of HTML that need nothing else: a template that escapes all it is given, and its style sheet within."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


@dataclass(frozen=True, slots=True)
class Page:
    """A compiled template, its style sheet, and the sheet's hash for the page's content security policy."""

    template: Template
    style: str
    style_hash: str

    def render(self, **values: object) -> str:
        """The page as HTML. The template finds the sheet and its hash as `style` and `style_hash`."""
        return self.template.render(style=self.style, style_hash=self.style_hash, **values)


@cache
def load(package: str, name: str) -> Page:
    """`templates/NAME.html` and `templates/NAME.css` of a package."""
    environment = Environment(
        loader=PackageLoader(package), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style = resources.files(package).joinpath(f"templates/{name}.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    return Page(environment.get_template(f"{name}.html"), style, f"sha256-{digest}")
