from __future__ import annotations

import pytest

from asr_hf.runtime.errors import RunError
from asr_hf.scoring.alignment import EditCounts
from asr_hf.scoring.ctm import CtmWord
from asr_hf.scoring.hub5 import hub5_errors, hubscr_command, scored_text, scored_words

STM = """\
;; LABEL "O" "Overall" "Overall"
sw_1 A sw_1_A 0.00 3.00 <O> I. B. M. (%HESITATION) KNOWS
sw_1 B sw_1_B 0.00 2.00 <O> IGNORE_TIME_SEGMENT_IN_SCORING
sw_1 B sw_1_B 2.00 4.00 <O> YOU CANNOT
en_2 A en_2_A 0.00 2.00 <O> YES INDEED
"""
GLM = """\
;; rules
* name "rules"
* desc "rules"
* format = 'NIST1'
* max_nrules = '10'
* copy_no_hit = 'T'
* case_sensitive = 'F'
[UH] => [%HESITATION] / [ ] __ [ ]
[CANNOT] => [CAN NOT] / [ ] __ [ ]
[I.] => [I] / [ ] __ [ ]
[B.] => [B] / [ ] __ [ ]
[M.] => [M] / [ ] __ [ ]
"""


def word(text, start=0.0, side="A", recording="sw_1", duration=0.6):
    return CtmWord(recording, side, start, duration, text)


def test_noises_hesitations_and_unfinished_words_are_not_scored():
    said = ["[noise]", "uh", "well", "<unk>", "th-", "[laughter]", "hm", "so"]
    assert [w.word for w in scored_words(map(word, said))] == ["well", "so"]


@pytest.mark.parametrize(
    ("spelled", "letters"),
    [
        ("i._b._m.", ["i", "b", "m"]),
        ("i._b._m.'s", ["i", "b", "m's"]),
        ("t._v.s", ["t", "vs"]),
        ("a.", ["a"]),
        ("mr.", ["mr."]),
    ],
)
def test_a_spelled_word_becomes_letters_that_share_its_time(spelled, letters):
    found = list(scored_words([word(spelled, 1.0)]))
    assert [w.word for w in found] == letters
    assert found[0].start == 1.0
    assert sum(w.duration for w in found) == pytest.approx(0.6)
    assert found[-1].start + found[-1].duration == pytest.approx(1.6)


def test_text_without_times_is_scored_alike():
    said = ["[noise]", "uh-huh", "i._b._m.'s", "th-", "uh", "mr."]
    assert scored_text(said) == [w.word for w in scored_words(map(word, said))]
    assert scored_text(said) == ["uh-huh", "i", "b", "m's", "mr."]


@pytest.fixture
def files(tmp_path):
    if hubscr_command() is None:
        pytest.skip("SCTK is not installed")
    (tmp_path / "stm").write_text(STM)
    (tmp_path / "glm").write_text(GLM)
    return tmp_path / "stm", tmp_path / "glm"


def test_the_script_counts_by_its_rules_and_by_subset(files):
    said = [
        word("i._b._m.", 0.2),
        word("knows", 2.0),
        # A stretch that is not scored.
        word("nonsense", 0.5, "B"),
        word("you", 2.2, "B"),
        word("can", 2.8, "B", duration=0.2),
        word("not", 3.1, "B", duration=0.2),
        word("no", 0.1, "A", "en_2"),
        word("indeed", 1.0, "A", "en_2"),
    ]
    command = hubscr_command()
    switchboard = hub5_errors(command, *files, said, "sw_")
    assert (switchboard.errors, switchboard.words) == (0, 8)
    callhome = hub5_errors(command, *files, said, "en_")
    assert callhome == EditCounts(1, 0, 0, 2)
    everything = hub5_errors(command, *files, said)
    assert (everything.errors, everything.words) == (1, 10)


def test_a_file_of_rules_that_cannot_be_read_is_a_failure_with_its_words(files):
    stm, glm = files
    glm.write_text("nothing of use\n")
    with pytest.raises(RunError, match=r"hubscr\.pl failed"):
        hub5_errors(hubscr_command(), stm, glm, [word("you", 2.2, "B")])
