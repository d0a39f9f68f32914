"""Segments and their names, speakers, subsets, pem and stm, Fisher's text."""

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


def module(name):
    return importlib.import_module(f"asr_hf_recipes.switchboard.{name}")


transcripts, speakers, subsets = module("transcripts"), module("speakers"), module("subsets")
hub5, fisher, tokens = module("hub5"), module("fisher"), module("tokens")
acronyms = module("acronyms")


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("sw2001A-ms98-a-0001 0.000000 0.977625 hi", "sw02001-A_000000-000098"),
        ("sw2001B-ms98-a-0001 98.304500 211.335 hi", "sw02001-B_009830-021134"),
        # Halves go up; 1.005 is less than that in binary, for awk too.
        ("sw4940B-ms98-a-0101 0.125 1.005 hi", "sw04940-B_000013-000100"),
    ],
)
def test_names_are_made_of_side_and_rounded_centiseconds(line, name):
    assert transcripts.parse_segment("x:1", line).id == name


@pytest.mark.parametrize(
    "line",
    [
        "sw2001A-ms98-a-0001 0.0",
        "sw2001C-ms98-a-0001 0.0 1.0 hi",
        "sw02001A-ms98-a-0001 0.0 1.0 hi",
        "sw2001A-ms98-a-0001 1.0 0.5 hi",
        "sw2001A-ms98-a-0001 zero 0.5 hi",
        "sw2001A-ms98-a-0001 nan 0.5 hi",
        "sw2001A-ms98-a-0001 -1 0.5 hi",
    ],
)
def test_malformed_segments_are_named(line):
    with pytest.raises(InputError, match=r"trans\.text:7"):
        transcripts.parse_segment("trans.text:7", line)


def write_side(folder, name, *lines):
    path = folder / name[2:4] / name[2:6] / f"{name}-ms98-a-trans.text"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}-ms98-a-{line}\n" for line in lines))


def read(folder):
    return transcripts.read_transcripts(folder, acronyms.Acronyms({}), tokens.Compat.CORRECT)


def test_transcripts_are_sorted_emptied_and_counted(tmp_path):
    write_side(tmp_path, "sw2002A", "0001 5.0 6.0 late {word}", "0002 1.0 2.0 <b_aside> early")
    write_side(tmp_path, "sw2001B", "0001 0 1 [silence]", "0002 1 2 <b_aside> <E_aside> [Silence]")
    write_side(tmp_path, "sw2001A", "0001 10.0 10.001 short", "0002 2.0 3.0 [noise]")
    found = read(tmp_path)
    assert [(s.id, " ".join(s.words)) for s in found.segments] == [
        ("sw02001-A_000200-000300", "[noise]"),
        ("sw02002-A_000100-000200", "early"),
        ("sw02002-A_000500-000600", "late word"),
    ]
    assert (found.lines, found.empty, found.mapped) == (6, 2, 1)
    assert found.dropped == {"[silence]": 2, "<b_aside>": 2, "<e_aside>": 1}
    assert list(found.skipped) == ["sw02001-A_001000-001000"]


def test_a_segment_twice_is_refused_with_both_places(tmp_path):
    write_side(tmp_path, "sw2001A", "0001 1.0 2.0 one", "0002 1.001 2.001 two")
    with pytest.raises(InputError, match=r"trans\.text:2: .* is in .*trans\.text:1"):
        read(tmp_path)


def test_transcripts_without_a_word_are_refused(tmp_path):
    write_side(tmp_path, "sw2001A", "0001 1.0 2.0 [silence]")
    with pytest.raises(InputError, match="1 segments and no word"):
        read(tmp_path)


def test_callers_are_read_from_conv_tab_and_head_the_names(tmp_path):
    path = tmp_path / "conv.tab"
    path.write_text('2001,304,1028,1082,910304,0\n"2015", 301, 1044,1054\n')
    found = speakers.read_conv_tab(path)
    assert found == {
        "sw02001-A": "sw1028",
        "sw02001-B": "sw1082",
        "sw02015-A": "sw1044",
        "sw02015-B": "sw1054",
    }
    segment = "sw02001-B_000098-000113"
    assert speakers.speaker_and_name("sw02001-B", segment, found) == ("sw1082", f"sw1082-{segment}")
    assert speakers.speaker_and_name("sw02001-B", segment, {}) == ("sw02001-B", segment)


@pytest.mark.parametrize("line", ["2001,304,1028", "two,304,1028,1082", "2001,304,,1082", ""])
def test_a_bad_conv_tab_is_refused(tmp_path, line):
    (tmp_path / "conv.tab").write_text(f"{line}\n")
    with pytest.raises(InputError, match=r"conv\.tab"):
        speakers.read_conv_tab(tmp_path / "conv.tab")


@given(
    st.lists(
        st.tuples(
            st.integers(2001, 2010), st.sampled_from("AB"), st.integers(0, 999), st.booleans()
        ),
        unique=True,
    )
)
def test_names_with_and_without_callers_sort_as_their_speakers_do(segments):
    known = {
        f"sw0{number}-{side}": f"sw{pin}"
        for (number, side), pin in zip(
            [(n, s) for n in range(2001, 2011) for s in "AB"],
            [1, 10, 100, 1000, 1001, 1002, 15, 2001, 20019, 9] * 2,
            strict=True,
        )
    }
    rows = []
    for number, side, start, with_caller in segments:
        recording = f"sw0{number}-{side}"
        table = known if with_caller else {}
        name = f"{recording}_{start:06d}-{start + 5:06d}"
        rows.append(speakers.speaker_and_name(recording, name, table)[::-1])
    rows.sort(key=lambda row: row[0].encode())
    order = [speaker.encode() for _, speaker in rows]
    assert order == sorted(order)


def copies_of(texts):
    return [Utterance(f"u{i:05d}", "s", "r", text=text) for i, text in enumerate(texts)]


def test_repeated_transcripts_are_thinned_by_the_fixed_generator():
    texts = (["yeah"] * 40 + ["uh-huh"] * 9 + ["once"]) * 2
    kept = subsets.cap_copies(copies_of(texts), 18)
    # x after k steps is k * 103349 mod 71147, a step for each utterance of a capped transcript.
    step, expected = 0, []
    for i, text in enumerate(texts):
        if text == "once":
            expected.append(i)
            continue
        step += 1
        # "uh-huh" occurs exactly 18 times: all stay, but each takes a step.
        limit = 18 / 80 if text == "yeah" else 1.0
        if (step * 103349 % 71147) / 71147 < limit:
            expected.append(i)
    assert [int(u.id[1:]) for u in kept] == expected
    counts = Counter(u.text for u in kept)
    assert counts["once"] == 2 and counts["uh-huh"] == 18
    assert 10 <= counts["yeah"] <= 26


def test_below_the_limit_everything_stays():
    utterances = copies_of(["yeah"] * 17)
    assert subsets.cap_copies(utterances, 18) == utterances


@pytest.mark.parametrize(
    ("total", "sizes"), [(260_000, (4000, 10_000)), (1000, (100, 200)), (9, (0, 1)), (0, (0, 0))]
)
def test_held_out_sizes_shrink_with_the_corpus(total, sizes):
    assert subsets.held_out_sizes(total, 4000, 10_000) == sizes
    assert subsets.held_out_sizes(10_000, 1000, 0) == (1000, 1000)


def turns(tmp_path, text, reader="read_pem"):
    path = tmp_path / "file"
    path.write_text(text)
    return getattr(hub5, reader)(path)


def test_pem_names_are_cut_off_not_rounded(tmp_path):
    found = turns(
        tmp_path,
        ";; comment\nen_4156 A unknown_speaker 301.859 302.48\nSW_4390 b unknown 0.29 1.999\n",
    )
    assert [t.id for t in found] == ["en_4156-A_030185-030248", "sw_4390-B_000028-000199"]


@pytest.mark.parametrize("line", ["en_4156 A x 1.0", "en_4156 C x 1.0 2.0", "en_4156 A x 2.0 1.0"])
def test_malformed_pem_lines_are_named(tmp_path, line):
    with pytest.raises(InputError, match="file:2"):
        turns(tmp_path, f";; head\n{line}\n")


def test_padding_ends_half_way_to_the_neighbour_and_not_before_the_start(tmp_path):
    text = "".join(
        f"en_1 {side} x {start} {end}\n"
        for side, start, end in (
            ("A", 0.04, 1.0),
            ("A", 1.1, 2.0),
            ("A", 1.9, 3.0),
            ("A", 3.2, 4.0),
            ("A", 9.0, 9.5),
            ("B", 1.05, 1.1),
        )
    )
    padded = {t.id: (t.start, t.end) for t in hub5.pad(turns(tmp_path, text))}
    assert padded == {
        # Floored at nought; 0.1 s of a gap are shared; overlap gets none; at most 0.1 s.
        "en_1-A_000004-000100": (0.0, 1.05),
        "en_1-A_000110-000200": (1.05, 2.0),
        "en_1-A_000190-000300": (1.9, 3.1),
        "en_1-A_000320-000400": (3.1, 4.1),
        "en_1-A_000900-000950": (8.9, 9.6),
        # The other side does not matter.
        "en_1-B_000105-000110": (0.95, 1.2),
    }


STM = """;; LABEL "O" "Overall" "Overall"
en_1 A en_1_A 1.00 2.00 <O,en,F,en-F> <B_ASIDE> Uh ((%HESITATION) YEAH<E_ASIDE>
en_1 B en_1_B 1.00 2.00 <O,en,F,en-F> IGNORE_TIME_SEGMENT_IN_SCORING
en_1 A en_1_A 2.00 3.00 <O,en,M,en-M> { SORT OF / SORTA / @ } (WELL) THE-
fsh_1 2 inter_segment_gap 0.00 0.00 <O,en,unk>
fsh_1 2 fsh_1_2 3.00 4.00 <O,en,unk> ((WE (MA-) DID
"""


def test_references_become_words_and_what_is_not_scored_is_known(tmp_path):
    found = turns(tmp_path, STM, "read_stm")
    assert [(t.recording, t.words, t.ignored) for t in found if not t.ignored] == [
        ("en_1-A", ("uh", "uh", "yeah"), False),
        ("en_1-A", ("sort", "of", "well", "the-"), False),
        ("fsh_1-B", ("we", "ma-", "did"), False),
    ]
    assert [t.id for t in found if t.ignored] == ["en_1-B_000100-000200"]


def test_the_stm_is_cleaned_of_what_scoring_trips_over(tmp_path):
    (tmp_path / "stm").write_text(STM)
    lines = hub5.cleaned_stm(tmp_path / "stm").splitlines()
    assert lines[0] == ';; LABEL "O" "Overall" "Overall"'
    assert lines[1].split()[5:] == ["<O,en,F,en-F>", "Uh", "(%HESITATION)", "YEAH"]
    assert lines[2].endswith("IGNORE_TIME_SEGMENT_IN_SCORING")
    assert lines[3].endswith("{ SORT OF / SORTA / @ } (WELL) THE-")
    assert lines[4:] == ["fsh_1 B fsh_1_2 3.00 4.00 <O,en,unk> (WE (MA-) DID"]


def test_segments_take_their_references_and_ignored_ones_go(tmp_path):
    references = turns(tmp_path, STM.replace("fsh_1", "en_1"), "read_stm")
    segments = turns(
        tmp_path, "en_1 A x 1 2\nen_1 B x 1 2\nen_1 A x 2 3\nen_1 B x 3 4\nen_1 A x 1 2\n"
    )
    kept = hub5.match_turns(hub5.pad(dict.fromkeys(segments)), references, "stm")
    assert sorted(t.id for t in kept) == [
        "en_1-A_000100-000200",
        "en_1-A_000200-000300",
        "en_1-B_000300-000400",
    ]
    assert {t.id: t.words for t in kept}["en_1-B_000300-000400"] == ("we", "ma-", "did")
    with pytest.raises(InputError, match="1 segments are not in both, the first en_1-A_000200"):
        hub5.match_turns([t for t in segments if t.start != 2], references, "stm")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("i work at i. b. m.", "i work at i._b._m."),
        ("those t._v.s [laugh]", "those t._v.s [laughter]"),
        ("((maybe so)) [lipsmack]", "maybe so [noise]"),
        ("(( )) [[skip]] - yes", "[noise] yes"),
        ("m. [mn] Well", "m. [vocalized-noise] well"),
    ],
)
def test_fisher_is_written_as_switchboard_is(said, words):
    assert fisher.fisher_words(said) == words.split()


def test_fisher_files_are_found_and_their_comments_skipped(tmp_path):
    path = tmp_path / "fe_03_p1_tran/data/trans/000/fe_03_00001.txt"
    path.parent.mkdir(parents=True)
    path.write_text(
        "# fe_03_00001.sph\n# Transcribed at the LDC\n\n3.76 5.54 A: hello\n\n5 6 B: \n"
    )
    assert list(fisher.fisher_sentences([tmp_path])) == [["hello"]]
