"""Word error rates before and after adaptation stand in one table, whatever is known of them."""

from __future__ import annotations

from asr_hf.report.adaptation import TITLES, cells, terminal_table
from asr_hf.report.tables import adaptation_table

KNOWN = {
    "corpus": "mine",
    "set": "test",
    "before": {"percent": 70.26, "words": 1375},
    "after": {"percent": 62.64, "words": 1375},
    "relative": -10.8,
    "interval": [-10.2, -5.3],
}
# No error before: nothing to relate a change to. No words before: nothing to compare with.
PERFECT = KNOWN | {"relative": None}
ALONE = KNOWN | {"corpus": "<b>", "before": None}


def test_a_set_has_a_cell_below_each_title():
    assert [len(cells(row)) for row in (KNOWN, PERFECT, ALONE)] == [len(TITLES)] * 3
    assert cells(KNOWN)[2:] == ("70.3 %", "62.6 %", "-10.8 %", "-10.2 to -5.3 points")
    assert cells(PERFECT)[4:] == ("–", "-10.2 to -5.3 points")
    assert cells(ALONE)[2:] == ("–", "62.6 %", "–", "–")


def test_terminal_and_page_have_the_same_cells():
    rows = [KNOWN, PERFECT, ALONE]
    lines = terminal_table(rows).splitlines()
    assert len({len(line) for line in lines}) == 1
    page = adaptation_table({"rows": rows})
    for row, line in zip(rows, lines[1:], strict=True):
        assert line.split() == " ".join(cells(row)).split()
        assert all(f"{cell}</td>" in page for cell in cells(row)[1:])
    assert "&lt;b&gt; test" in page
