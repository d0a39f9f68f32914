from __future__ import annotations

import importlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.data.kaldi_dir import Utterance
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.resources import load_recipe

load_recipe("switchboard")
subsets = importlib.import_module("asr_hf_recipes.switchboard.subsets")
speakers = importlib.import_module("asr_hf_recipes.switchboard.speakers")
hub5 = importlib.import_module("asr_hf_recipes.switchboard.hub5")
sphere = importlib.import_module("asr_hf_recipes.switchboard.sphere")


def utterances(texts):
    return [Utterance(f"u{i:05d}", "s", "r", 0, 0.0, 1.0, t, "en") for i, t in enumerate(texts)]


@given(
    texts=st.lists(st.sampled_from(["yeah", "uh-huh", "no", "so well"]), max_size=300),
    limit=st.integers(1, 50),
)
def test_copies_are_capped_by_the_generator_of_the_recipe(texts, limit):
    # Written as the two passes of the awk program that the rule comes from.
    counts, expected, x = Counter(texts), [], 0
    for number, text in enumerate(texts):
        n = counts[text]
        if n < limit:
            expected.append(number)
        else:
            x = (x + 103349) % 71147
            if x / 71147 < limit / n:
                expected.append(number)
    kept = subsets.cap_copies(utterances(texts), limit)
    assert [int(u.id[1:]) for u in kept] == expected


def test_a_rare_transcript_keeps_all_its_copies_and_a_common_one_about_the_limit():
    kept = subsets.cap_copies(utterances(["yeah"] * 3000 + ["no"] * 299), 300)
    counts = Counter(u.text for u in kept)
    assert counts["no"] == 299 and abs(counts["yeah"] - 300) < 30


@pytest.mark.parametrize(
    ("total", "sizes"), [(260_000, (4000, 10_000)), (600, (60, 120)), (0, (0, 0))]
)
def test_held_out_sets_shrink_with_the_corpus(total, sizes):
    assert subsets.held_out_sizes(total, 4000, 10_000) == sizes


def test_known_callers_go_before_the_name_so_that_both_sort_alike(tmp_path):
    table = tmp_path / "conv.tab"
    table.write_text('2001,301,1028,"1033",910304\n\n3,5,1,2\n')
    known = speakers.read_conv_tab(table)
    assert known["sw02001-A"] == "sw1028" and known["sw02001-B"] == "sw1033"
    assert known["sw00003-B"] == "sw2"
    assert speakers.speaker_and_name("sw02001-A", "sw02001-A_000000-000100", known) == (
        "sw1028",
        "sw1028-sw02001-A_000000-000100",
    )
    side = speakers.speaker_and_name("sw04000-A", "sw04000-A_000000-000100", known)
    assert side == ("sw04000-A", "sw04000-A_000000-000100")


@pytest.mark.parametrize("line", ["2001,301,1028", "conv,topic,a,b", "2001,301,f,1033"])
def test_a_malformed_table_of_callers_is_refused_by_its_line(tmp_path, line):
    (tmp_path / "conv.tab").write_text(f"2001,301,1028,1033\n{line}\n")
    with pytest.raises(InputError, match=r"conv\.tab:2"):
        speakers.read_conv_tab(tmp_path / "conv.tab")


def turn(start, end, side="A", name="t"):
    return hub5.Turn(name, f"en_4156-{side}", start, end)


def spans(turns):
    return [(round(t.start, 3), round(t.end, 3)) for t in turns]


def test_turns_are_padded_up_to_half_the_gap_and_not_below_zero():
    padded = hub5.pad([turn(0.05, 1.0), turn(1.1, 2.0), turn(5.0, 6.0)])
    assert spans(padded) == [(0.0, 1.05), (1.05, 2.1), (4.9, 6.1)]


def test_turns_that_overlap_keep_their_inner_ends_and_sides_do_not_touch_each_other():
    padded = hub5.pad([turn(1.0, 3.0), turn(2.0, 4.0), turn(3.05, 5.0, "B")])
    assert spans(padded) == [(0.9, 3.0), (2.0, 4.1), (2.95, 5.1)]


def test_a_pem_names_segments_by_truncated_centiseconds(tmp_path):
    path = tmp_path / "hub5e_00.pem"
    path.write_text(";; comment\nen_4156 A unknown_speaker 301.8599 302.489\n\nSW_4390 2 x 0 1\n")
    first, second = hub5.read_pem(path)
    assert first.id == "en_4156-A_030185-030248"
    assert second.recording == "sw_4390-B"


@pytest.mark.parametrize("line", ["en_4156 C x 0 1", "en_4156 A x 2 1", "en_4156 A x"])
def test_a_malformed_line_of_a_pem_is_named(tmp_path, line):
    (tmp_path / "p").write_text(f"en_4156 A x 0 1\n{line}\n")
    with pytest.raises(InputError, match="p:2"):
        hub5.read_pem(tmp_path / "p")


STM = """\
;; LABEL "O" "Overall" "Overall"
en_4156 A en_4156_A 301.85 302.48 <O,en,F,en-F> ((OH YEAH)) <B_ASIDE> NO <E_ASIDE>
en_4156 A en_4156_A 304.71 306.02 <O,en,F,en-F> IGNORE_TIME_SEGMENT_IN_SCORING
en_4156 A en_4156_A 307.00 308.00 <O,en,F,en-F> (%HESITATION) { WANNA / WANT TO } GO
"""


def test_references_become_words_and_what_is_not_scored_is_known(tmp_path):
    path = tmp_path / "stm"
    path.write_text(STM)
    first, second, third = hub5.read_stm(path)
    assert first.words == ("oh", "yeah", "no") and not first.ignored
    assert second.ignored
    assert third.words == ("uh", "wanna", "go")


def test_the_stm_for_scoring_keeps_its_labels_and_loses_what_trips_it(tmp_path):
    path = tmp_path / "stm"
    path.write_text(STM + "fsh_1 1 inter_segment_gap 0.0 1.0 <O,en,unk>\nfsh_1 2 x 1.0 2.0 HI\n")
    text = hub5.cleaned_stm(path)
    assert text.startswith(';; LABEL "O"') and "ASIDE" not in text and "((" not in text
    assert "inter_segment_gap" not in text and "IGNORE_TIME_SEGMENT" in text
    assert "\nfsh_1 B x 1.0 2.0 HI\n" in text


def test_segments_and_references_must_be_the_same():
    segments = [turn(0.0, 1.0, name="a"), turn(2.0, 3.0, name="b")]
    with pytest.raises(InputError, match=r"1 segments are not in both, the first b"):
        hub5.match_turns(segments, segments[:1], "stm")


def test_recordings_are_found_whatever_the_case_of_their_names(tmp_path):
    for name in ("disc1/SW02001.SPH", "disc2/deep/sw02002.sph", "disc2/sw02003.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert sorted(sphere.find_recordings(tmp_path)) == ["sw02001", "sw02002"]
    assert sphere.side_of("sw02001-B") == ("sw02001", 1)
