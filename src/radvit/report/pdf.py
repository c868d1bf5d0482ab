"""report.pdf: the page of report.html as it prints, its fonts within."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
from functools import cache
from typing import Any

from radvit.errors import ConfigError

PANGO = "WeasyPrint's Pango library: on Debian `apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0`"
CHINESE_FONT = "a Chinese font: on Debian `apt-get install fonts-noto-cjk`"

LINK = re.compile(r' href="#mark-\d+"')


def check_pdf(language: str) -> None:
    """Raise ConfigError where this machine can't write PDF in a language, naming what it lacks."""
    _weasyprint()
    if language == "zh" and not has_chinese_font():
        raise ConfigError(f"report.forms=[pdf] report.language=zh needs {CHINESE_FONT}")


def to_pdf(page: str) -> bytes:
    """A report's page, as `to_html` gives it, as a PDF of A4 pages.

    Raises ConfigError where WeasyPrint can't be loaded. Nothing is fetched: what the page shows lies within it.
    """
    library = _weasyprint()
    printed = LINK.sub("", page)  # marks are no places of a PDF that a link could lead to
    document = library.HTML(string=printed, url_fetcher=library.URLFetcher(allowed_protocols=["data"]))
    return bytes(document.write_pdf(pdf_identifier=b"radvit"))  # else random, and no two files alike


@cache
def has_chinese_font() -> bool:
    """Whether fontconfig knows a font for Chinese."""
    asked = shutil.which("fc-list")
    if asked is None:
        return True  # nobody can tell; a PDF without one shows boxes
    done = subprocess.run([asked, ":lang=zh", "family"], capture_output=True, text=True, check=False)
    return bool(done.stdout.strip())


@cache
def _weasyprint() -> Any:
    for name in ("weasyprint", "weasyprint.progress", "fontTools"):  # they speak already as they are loaded
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        import weasyprint
    except (ImportError, OSError) as error:
        raise ConfigError(f"report.forms=[pdf] needs {PANGO} ({type(error).__name__}: {error})") from error
    return weasyprint
