from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.hmm.graph.lexicon import (
    Lexicon,
    SymbolTable,
    disambiguation,
    map_unknown,
    phone_table,
    read_lexicon,
    word_table,
)
from asr_hf.hmm.graph.topology import topology_text
from asr_hf.runtime.errors import InputError

phones = st.sampled_from(["p", "q", "r"])
lexicons = st.dictionaries(
    st.sampled_from(["one", "two", "three", "four"]),
    st.lists(
        st.lists(phones, min_size=1, max_size=3).map(tuple), min_size=1, max_size=3, unique=True
    ).map(tuple),
    min_size=1,
)


@given(lexicons)
def test_numbered_pronunciations_are_a_prefix_free_code(entries):
    numbered, largest = disambiguation(Lexicon("en", entries))
    code = [(*phones, f"#{n}") if n else phones for _, phones, n in numbered]
    assert len(set(code)) == len(code)
    for one in code:
        for other in code:
            assert one == other or other[: len(one)] != one
    assert largest == max(n for _, _, n in numbered)


def test_lexicon_survives_a_round_trip(tmp_path, lexicon):
    path = tmp_path / "lexicon.txt"
    path.write_text(lexicon.text())
    assert read_lexicon(path, "en") == lexicon


def test_byte_order_mark_and_repeated_lines_are_harmless(tmp_path):
    path = tmp_path / "lexicon.txt"
    path.write_text("\ufeffyes y e s\nyes y e s\nyes y a\n\n", encoding="utf-8")
    assert read_lexicon(path, "en").pronunciations == {"yes": (("y", "e", "s"), ("y", "a"))}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("yes\n", "'yes' has no phones"),
        ("", "empty"),
        ("<s> s\n", "'<s>' is reserved"),
        ("yes y #1\n", "'#1' is reserved"),
    ],
)
def test_bad_lexicons_are_refused(tmp_path, text, what):
    path = tmp_path / "lexicon.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=what):
        read_lexicon(path, "en")


def test_missing_lexicon_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.txt"):
        read_lexicon(tmp_path / "nowhere.txt", "en")


def test_phone_table_joins_languages_and_shares_silence():
    one = Lexicon("en", {"yes": (("en_y", "en_s"),)})
    two = Lexicon("fr", {"oui": (("fr_w", "fr_i"),)})
    assert phone_table([one, two]).symbols == ("<eps>", "sil", "en_s", "en_y", "fr_i", "fr_w")
    table = phone_table([one.with_unknown(), two.with_unknown()])
    assert table.symbols[1:3] == ("sil", "spn")


def test_unknown_words_are_mapped_and_told():
    lexicon = Lexicon("en", {"yes": (("y",),)}).with_unknown()
    assert map_unknown(["yes", "nay"], lexicon) == (["yes", "<unk>"], ["nay"])


def test_symbol_table_round_trip_and_damage(tmp_path, lexicon):
    table = word_table(lexicon)
    path = tmp_path / "words.txt"
    path.write_text(table.text())
    assert SymbolTable.read(path) == table
    path.write_text(table.text().replace(" 2\n", " 7\n"))
    with pytest.raises(InputError, match="not a symbol table"):
        SymbolTable.read(path)


def test_noises_stand_first_and_only_where_a_word_needs_them(tmp_path):
    (tmp_path / "lexicon.txt").write_text(
        "yes en_y en_eh en_s\n[laughter] lau\n[noise] nsn\n<unk> spn\n"
    )
    phones = phone_table([read_lexicon(tmp_path / "lexicon.txt", "en")])
    assert phones.symbols == ("<eps>", "sil", "spn", "nsn", "lau", "en_eh", "en_s", "en_y")
    text = topology_text(phones)
    noises = next(x for x in text.split("<TopologyEntry>") if "1 2 3 4" in " ".join(x.split()))
    assert noises.count("<State>") == 6
