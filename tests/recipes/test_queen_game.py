"""The parts of the game's file, on small ones made by hand."""

from __future__ import annotations

import importlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.resources import load_recipe
from scripts import queen_container as made

load_recipe("queen")


def module(name: str):
    return importlib.import_module(f"asr_hf_recipes.queen.{name}")


container, fields, lines = module("container"), module("fields"), module("lines")
dialogue, scenes, remarks = module("dialogue"), module("scenes"), module("remarks")

NAMES = st.from_regex(r"[A-Z0-9_][A-Z0-9_.]{0,11}", fullmatch=True)
# What a string of the game may hold besides commands.
TEXTS = st.text(st.characters(codec="latin-1", exclude_characters="*\0"), max_size=60)


def opened(tmp_path, content: bytes):
    path = tmp_path / "queen.1c"
    path.write_bytes(content)
    return container.Container(path)


def of(content: bytes):
    return fields.Fields("queen.1c: ENTRY", content)


@given(entries=st.dictionaries(NAMES, st.binary(max_size=30), max_size=6))
def test_entries_come_back_as_they_were_put_in(tmp_path_factory, entries):
    game = opened(tmp_path_factory.mktemp("game"), made.container(entries))
    assert {name: game.content(name) for name in game.entries} == entries


def test_an_entry_that_is_not_there_is_named(tmp_path):
    game = opened(tmp_path, made.container({"A.DOG": b"x"}))
    with pytest.raises(InputError, match=r"queen\.1c: no entry B\.DOG"):
        game.content("B.DOG")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "begins with b'', 0 bytes"),
        (b"QTBX" + bytes(20), "begins with b'QTBX'"),
        (made.container({"A": b"x", "B": b""})[:40], r"25 bytes of its table(.|\n)*42, for 2"),
        (made.container({"../../ETC": b"x"}), r"entry 1 is called '\.\./\.\./ETC'"),
        (made.container({".HIDDEN": b"x"}), "entry 1 is called '.HIDDEN'"),
        (made.container({"": b"x"}), "entry 1 is called ''"),
        (made.container({"A": b"12345"})[:-1], "A: 5 bytes from 36 on(.|\n)*the 40 bytes"),
        (
            made.container({"A": b"1", "B": b"2"}).replace(b"B\0", b"A\0"),
            "the entry A comes twice",
        ),
    ],
)
def test_a_damaged_container_is_refused_by_what_is_wrong(tmp_path, content, said):
    with pytest.raises(InputError, match=said) as refused:
        opened(tmp_path, content)
    assert str(tmp_path / "queen.1c") in str(refused.value)


def test_a_missing_container_is_named(tmp_path):
    with pytest.raises(InputError, match=r"queen\.1c: cannot be read: No such file"):
        container.Container(tmp_path / "queen.1c")


def test_a_file_that_shrinks_after_it_was_opened_is_named(tmp_path):
    game = opened(tmp_path, made.container({"A": b"12345"}))
    game.path.write_bytes(game.path.read_bytes()[:-2])
    with pytest.raises(InputError, match=r"queen\.1c: A: 3 bytes(.|\n)*expected: 5"):
        game.content("A")


@given(before=st.integers(0, 9), text=TEXTS, alignment=st.sampled_from([1, 2, 4]))
def test_a_string_ends_where_the_next_begins(before, text, alignment):
    content = bytes(before) + made.string(text, before, alignment)
    assert of(content).text(before, alignment) == (text, len(content))


@given(content=st.binary(max_size=12), at=st.integers(-3, 20))
def test_nothing_is_read_outside_an_entry(content, at):
    for read in (lambda: of(content).numbers(at, 2), lambda: of(content).places(at, 1)):
        try:
            read()
        except InputError as error:
            assert "queen.1c: ENTRY: " in str(error) and f"its {len(content)} bytes" in str(error)
        else:
            assert 0 <= at < len(content)


PIECES = [
    ("", {}),
    ("*03", {}),
    ("Yes.", {1: "Yes."}),
    ("Yes.*03", {1: "Yes."}),
    ("*FRYes.*00*FLNo.*00Perhaps.*", {2: "Yes.", 4: "No.", 5: "Perhaps."}),
    ("*XY00(128,112)*FLWho is it?*00 *00Me.", {3: "Who is it?", 5: "Me."}),
    ("*XYno places", {2: "no places"}),
    ("Odd*2", {1: "Odd"}),
]


@pytest.mark.parametrize(("text", "pieces"), PIECES)
def test_commands_part_a_text_into_numbered_pieces(text, pieces):
    assert lines.pieces_of(text) == pieces


@given(parts=st.lists(TEXTS, min_size=1, max_size=20))
def test_every_command_ends_a_piece(parts):
    spoken = {n: part.strip() for n, part in enumerate(parts, start=1) if part.strip()}
    assert lines.pieces_of("*03".join(parts)) == spoken


def test_a_dialogue_has_names_for_all_its_recordings():
    content = made.dialogue(
        67,
        [(0, "Hello.*03Bob?"), (0x1F, "Bye.")],
        [(0, "Yes?"), (0x2B5, "*00Bye Joe.")],
        ("You again!", "Me again.*02"),
    )
    assert dialogue.read_dialogue("BOB3.DOG", of(content)) == [
        lines.Line("67SSSSJ", "joe", "Hello.*03Bob?"),
        lines.Line("67001FJ", "joe", "Bye."),
        lines.Line("670000P", "bob", "Yes?"),
        lines.Line("6702B5P", "bob", "*00Bye Joe."),
        lines.Line("67XXXXP", "bob", "You again!"),
        lines.Line("67XXXXJ", "joe", "Me again.*02"),
    ]


def test_what_is_0_is_not_said():
    content = made.dialogue(2, [(0, "0"), (5, "0")], [(1, "A zero.")])
    found = dialogue.read_dialogue("AND1.DOG", of(content))
    assert [line.key for line in found] == ["020001P"]


@pytest.mark.parametrize("levels", [0, 3, -4])
def test_levels_of_choices_are_passed_over(levels):
    content = made.dialogue(2, [(1, "Hm.")], [], levels=levels)
    assert [line.text for line in dialogue.read_dialogue("A.DOG", of(content))] == ["Hm."]


def test_lines_that_do_not_end_where_the_others_begin_are_refused():
    content = bytearray(made.dialogue(2, [(1, "One."), (2, "Two.")], []))
    struct.pack_into(">h", content, 26, 1)
    with pytest.raises(InputError, match=r"ENTRY: the hero's lines end at \d+(.|\n)*begin at"):
        dialogue.read_dialogue("A.DOG", of(bytes(content)))


@pytest.mark.parametrize(("room", "count"), [(100, 1), (-1, 1), (5, -1)])
def test_numbers_that_cannot_be_are_refused(room, count):
    content = bytearray(made.dialogue(2, [(1, "One.")], []))
    struct.pack_into(">hh", content, 24, room, count)
    with pytest.raises(InputError, match="expected: a room from 0 to 99"):
        dialogue.read_dialogue("A.DOG", of(bytes(content)))


@given(cut=st.floats(0, 1, exclude_max=True))
def test_a_dialogue_that_is_cut_short_is_refused(cut):
    content = made.dialogue(2, [(1, "One.")], [(1, "Two.")], ("a", "b"))
    with pytest.raises(InputError, match=r"queen\.1c: ENTRY: "):
        dialogue.read_dialogue("A.DOG", of(content[: int(cut * len(content))]))


STEPS = [
    made.Said(0, "Look!*03"),
    made.Said(3, "", frames=2),
    made.Said(7, "*FLWhere?", frames=1, people=2),
    made.Said(-4, "...back at the crash site"),
]


def test_a_scene_has_steps_with_slots_and_texts():
    assert scenes.read_scene("C1A.CUT", of(made.scene(STEPS))) == [
        scenes.Step("C1A__01", 0, "Look!*03"),
        scenes.Step("C1A__03", 7, "*FLWhere?"),
    ]


@given(cut=st.floats(0, 1, exclude_max=True))
def test_a_scene_that_is_cut_short_is_refused(cut):
    content = made.scene(STEPS)
    with pytest.raises(InputError, match=r"queen\.1c: ENTRY: "):
        scenes.read_scene("C1A.CUT", of(content[: int(cut * len(content))]))


def test_a_scene_whose_steps_end_elsewhere_is_refused():
    content = bytearray(made.scene(STEPS))
    struct.pack_into(">h", content, 22, 3)
    with pytest.raises(InputError, match=r"its 3 steps end at \d+"):
        scenes.read_scene("C1A.CUT", of(bytes(content)))


def test_scenes_say_who_speaks():
    names, speakers = {4: "Faye", 5: "note"}, {"Faye": "faye", "C1A 5": "bob"}

    def line(slot, held_out=(), key="C1A__01"):
        step = scenes.Step(key, slot, "Hm.")
        found = scenes.scene_line(step, names, speakers, frozenset(held_out))
        return found.speaker, found.doubt

    assert line(0) == ("joe", "")
    assert line(4) == ("faye", "")
    assert line(5) == ("bob", "")
    assert line(5, key="C1B__01") == ("", scenes.UNKNOWN)
    assert line(-2) == ("", scenes.UNKNOWN)
    assert line(4, ["faye"]) == ("faye", scenes.HELD_OUT)


def test_the_table_of_speakers_is_read_and_its_slips_named(tmp_path):
    path = tmp_path / "scenes.tsv"
    path.write_text("# a comment\nJoe King\tjoe\n\nC1A 5\tbob\n")
    assert scenes.read_speakers(path) == {"Joe King": "joe", "C1A 5": "bob"}
    path.write_text("Joe King joe\n")
    with pytest.raises(InputError, match=r"scenes\.tsv:1: no tab in 'Joe King joe'"):
        scenes.read_speakers(path)


def test_remarks_are_answers_and_descriptions():
    texts = of(made.lists(["A rock.*24", "c1a.CUT"], ["No.", "Never."], ["Faye", "rock"]))
    found = remarks.read_remarks(of(made.numbers(2, 2, [2, -1, 0, 9])), texts)
    said = {line.key: line.text for line in found.lines if line.text}
    assert said == {"JOE0001": "No.", "JOE0002": "Never.", "JOE0041": "A rock.*24"}
    assert {line.speaker for line in found.lines} == {"joe"}
    assert found.names == {1: "rock", 2: "Faye"}


@pytest.mark.parametrize("descriptions", [3, 0xFFFE])
def test_lists_that_are_too_short_are_refused(descriptions):
    texts = of(made.lists(["A rock."], ["No."], ["Faye"]))
    with pytest.raises(InputError, match=r"ENTRY: 54 lines"):
        remarks.read_remarks(of(made.numbers(descriptions, 1, [1])), texts)


def line(key, text, doubt="", speaker="bob"):
    return lines.Line(key, speaker, text, doubt)


def test_a_line_is_taken_when_just_its_pieces_are_recorded():
    entries = ["0200012.SB", "0200014.SB", "OTHER.PCX", "X7.SB"]
    found = lines.match([line("020001", "*03Yes.*00*00No.")], entries)
    assert found.pieces == []
    spoken = [line("020001P", "*03Yes.*00*00No."), line("020002P", "*03")]
    found = lines.match(spoken, ["020001P2.SB", "020001P4.SB", "OTHER.PCX", "X7.SB"])
    assert found.pieces == [
        lines.Piece("020001P2.SB", "bob", "Yes."),
        lines.Piece("020001P4.SB", "bob", "No."),
    ]
    assert found.dropped == {"X7.SB": "recording without text"}
    assert not found.faults and found.total == 1


def test_the_tenth_piece_is_called_a():
    assert lines.entry_name("1200B3P", 10) == "1200B3PA.SB"


@pytest.mark.parametrize(
    ("spoken", "recorded", "fault"),
    [
        ([line("020001P", "Yes.*00No.")], "1", "2 pieces of text, 1 recorded"),
        ([line("020001P", "Yes.")], "2", "1 pieces of text, 1 recorded"),
        ([line("020001P", "Yes.")], "12", "1 pieces of text, 2 recorded"),
        ([line("020001P", "Yes."), line("020001P", "No.")], "1", "2 texts for one recording"),
    ],
)
def test_a_line_whose_pieces_are_not_those_recorded_is_skipped(spoken, recorded, fault):
    found = lines.match(spoken, [f"020001P{n}.SB" for n in recorded])
    assert found.faults == {"020001P": fault} and not found.pieces and not found.dropped


def test_what_has_no_counterpart_or_is_in_doubt_is_left_out():
    spoken = [line("020001P", "Yes."), line("020002P", "No.", doubt="unsure")]
    found = lines.match(spoken, ["020002P1.SB", "10SSSSSS.SB"])
    assert found.dropped == {
        "020001P": "text without recording",
        "020002P": "unsure",
        "10SSSSSS.SB": "recording without text",
    }
    assert not found.pieces and not found.faults and found.total == 1
