import base64
import re

import pytest

from radvit.evaluation.report_html import html_page

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 40
TEXT = """# Evaluation of <script>alert(1)</script>

A **bold** number & more.

| metric | a |
| --- | ---: |
| AUROC | 0.9 <img src=x> |

![FROC](figures/froc.png)

*Sensitivity*

- `code`

```
python evaluate.py data.path="a<b"
```
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures/froc.png").write_bytes(PNG)
    return tmp_path


def test_a_page_holds_its_figures_and_fetches_nothing(folder):
    page = html_page(TEXT, folder)
    sources = re.findall(r'src="([^"]*)"', page)
    assert sources == ["data:image/png;base64," + base64.b64encode(PNG).decode()]
    assert "http://" not in page
    assert "https://" not in page
    assert '<img src="data:image/png' in page
    assert 'alt="FROC"' in page
    assert '<td class="right">' in page
    assert '<p class="caption">' in page
    assert "<strong>bold</strong>" in page


def test_html_in_the_text_is_shown_and_not_obeyed(folder):
    page = html_page(TEXT, folder)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<title>Evaluation of &lt;script&gt;" in page
    assert "&lt;img src=x&gt;" in page
    assert "data.path=&quot;a&lt;b&quot;" in page


def test_styles_are_those_that_the_policy_lets_in(folder):
    page = html_page(TEXT, folder)
    assert " style=" not in page
    assert re.search(r"style-src 'sha256-[\w+/=]+'", page)


def test_a_figure_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        html_page(TEXT, tmp_path)
