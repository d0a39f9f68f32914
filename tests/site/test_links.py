from __future__ import annotations

import pytest

from scripts.site.links import for_site, outside_code

PLACES = {"README.md": "index.md", "docs/a.md": "a.md", "recipes/x/README.md": "corpora/x.md"}


@pytest.mark.parametrize(
    ("file", "page", "link", "expected"),
    [
        ("README.md", "index.md", "docs/a.md#how", "a.md#how"),
        ("docs/a.md", "a.md", "../recipes/x/README.md", "corpora/x.md"),
        ("recipes/x/README.md", "corpora/x.md", "../../docs/a.md", "../a.md"),
        ("recipes/x/README.md", "corpora/x.md", "../../README.md#try", "../index.md#try"),
        ("docs/a.md", "a.md", "#here", "#here"),
        ("docs/a.md", "a.md", "https://example.org/a.md", "https://example.org/a.md"),
    ],
)
def test_links_lead_to_the_same_page(file, page, link, expected):
    text, others = for_site(f"see [this [1]]({link}).", file, page, PLACES)
    assert text == f"see [this [1]]({expected})." and not others


def test_other_files_come_along():
    text, others = for_site("![curve](c.svg) [run](../b/r.json)", "docs/a.md", "a.md", PLACES)
    assert text == "![curve](files/docs/c.svg) [run](files/b/r.json)"
    assert others == {"docs/c.svg", "b/r.json"}


def test_code_stays_as_it_is():
    page = "a\n```\na [x](docs/a.md)\n~~~\n```\na\n  ~~~ py\na\n  ~~~\nlast a"
    expected = "b\n```\na [x](docs/a.md)\n~~~\n```\nb\n  ~~~ py\na\n  ~~~\nlbst b"
    assert outside_code(page, lambda part: part.replace("a", "b")) == expected
