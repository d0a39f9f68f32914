"""Numbers are read rightly in their language, or named and left."""

from __future__ import annotations

import importlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from num2words import num2words

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.resources import load_recipe

load_recipe("table")
numbers = importlib.import_module("asr_hf_recipes.table.numbers")
numbers_language, read_numbers = numbers.numbers_language, numbers.read_numbers
words_of = importlib.import_module("asr_hf_recipes.table.text").words_of


def spoken(text, language):
    read, unread = read_numbers(text, language)
    assert not unread
    return " ".join(words_of(read, language))


@pytest.mark.parametrize(
    ("language", "text", "words"),
    [
        ("en", "1,000", "one thousand"),
        ("en", "2,500,000 people", "two million five hundred thousand people"),
        ("en", "2\u00a0500", "two thousand five hundred"),
        ("en_IN", "12,34,567", "twelve lakh thirty four thousand five hundred and sixty seven"),
        ("de", "1.000", "eintausend"),
        ("es", "2.500.000", "dos millones quinientos mil"),
        ("fr", "1\u00a0000", "mille"),
        ("fr", "1\u202f000\u202f000", "un million"),
        ("fr_CH", "1’000", "mille"),
        ("ru", "1\u00a0000", "одна тысяча"),
        ("en", "3.5", "three point five"),
        ("en", "0.25", "zero point two five"),
        ("de", "3,5", "drei komma fünf"),
        ("en", "the 3rd, 11th and 22nd", "the third eleventh and twenty second"),
        ("en", "in 2005", "in two thousand and five"),
        ("es", "en 1990", "en mil novecientos noventa"),
        ("es", "Marque 12 o 3.", "marque doce o tres"),
        ("en", "(5) \"6\" '7' ¿8?", "five six seven eight"),
        ("en", "1 2 3", "one two three"),
        ("en", "12, 13", "twelve thirteen"),
        ("de", "Raum 5 – bitte", "raum fünf bitte"),
        ("de", "Es waren 3.", "es waren drei"),
        ("ar", "١٢", "اثنا عشر"),
    ],
)
def test_what_is_read(language, text, words):
    assert spoken(text, language) == words


@pytest.mark.parametrize(
    ("language", "text", "named"),
    [
        ("en", "$5", "$5"),
        ("en", "5$", "5$"),
        ("de", "5 €", "5 €"),
        ("fr", "€5", "€5"),
        ("en", "£ 5", "£ 5"),
        ("en", "10%", "10%"),
        ("de", "10 %", "10 %"),
        ("en", "-5", "-5"),
        ("en", "+5", "+5"),
        ("en", "− 5", "− 5"),
        ("en", "5 - 3", "5 -"),
        ("en", "3-5", "3-5"),
        ("en", "3–5", "3–5"),
        ("en", "1/2", "1/2"),
        ("en", "½", "½"),
        ("en", "1e5", "1e5"),
        ("en", "12:30", "12:30"),
        ("de", "12.5.2020", "12.5.2020"),
        ("de", "am 3. Mai", "3."),
        ("fr", "1er", "1er"),
        ("en", "11st", "11st"),
        ("en", "1990", "1990"),
        ("en", "1990s", "1990s"),
        ("de", "1990", "1990"),
        ("en", "2024", "2024"),
        ("en", "007", "007"),
        ("en", "0.125", "0.125"),
        ("en", "1.000", "1.000"),
        ("de", "1,000", "1,000"),
        ("de", "3.5", "3.5"),
        ("en", "3,5", "3,5"),
        ("fr", "3,5", "3,5"),
        ("fr", "1 000", "1"),
        ("en", "1,00,000", "1,00,000"),
        ("en", "0,123", "0,123"),
        ("en", "555-1234", "555-1234"),
        ("en", "555 123", "555"),
        ("en", "5551234", "5551234"),
        ("en", "covid-19", "covid-19"),
        ("en", "m²", "m²"),
        ("en", "Ⅳ", "Ⅳ"),
        ("en", "6'", "6'"),
        ("en", '6"', '6"'),
        ("en", "#5", "#5"),
        ("en", "№ 5", "№ 5"),
        ("am", "2500", "2500"),
    ],
)
def test_what_is_left_and_named(language, text, named):
    read, unread = read_numbers(f"x {text} y", language)
    assert unread[0] == named
    assert text in read


@given(st.integers(0, 1099) | st.integers(2100, 999_999), st.sampled_from(["en", "de", "fr", "es"]))
def test_whole_numbers_are_those_of_num2words(number, language):
    read, unread = read_numbers(f"a {number} b", language)
    assert (read, unread) == (f"a {num2words(number, lang=language)} b", [])


@given(
    st.text(alphabet="059.,-%$€:/ '\"\u00a0ax", max_size=12), st.sampled_from(["en", "de", "fr"])
)
def test_every_digit_is_read_or_named(text, language):
    read, unread = read_numbers(text, language)
    left = [c for c in read if c.isdigit()]
    assert len(left) <= sum(c.isdigit() for one in unread for c in one)
    assert bool(left) == bool(unread)


@pytest.mark.parametrize(
    ("given", "code"), [("de", "de"), ("pt-BR", "pt_BR"), ("EN", "en"), ("en_in", "en_IN")]
)
def test_languages_are_named_by_their_codes(given, code):
    assert numbers_language(given) == code


@pytest.mark.parametrize("given", ["hi", "zh", "est", "slk", "fry", "english", "", "en_GB"])
def test_other_languages_are_refused_with_a_list(given):
    with pytest.raises(InputError, match=rf"corpus\.numbers={given}: .*\n.*one of am, ar, .* vi"):
        numbers_language(given)
