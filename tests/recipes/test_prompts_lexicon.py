from __future__ import annotations

import importlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.resources import load_recipe

load_recipe("prompts")
lexicon = importlib.import_module("asr_hf_recipes.prompts.lexicon")
spelling = importlib.import_module("asr_hf_recipes.prompts.spelling")

SPELT = [
    ("es", "queso", "k e s o"),
    ("es", "hoy", "o i"),
    ("es", "ya", "ll a"),
    ("es", "llamada", "ll a m a d a"),
    ("es", "radio", "rr a d i o"),
    ("es", "error", "e rr o r"),
    ("es", "cero", "s e r o"),
    ("es", "conexion", "k o n e k s i o n"),
    ("es", "siguiente", "s i g i e n t e"),
    ("es", "agente", "a j e n t e"),
    ("es", "noche", "n o ch e"),
    ("es", "contraseña", "k o n t r a s e n i a"),
    ("es", "voz", "b o s"),
    ("es", "piscina", "p i s i n a"),
    ("fr", "conférence", "k on f é r an s"),
    ("fr", "personne", "p è r s o n"),
    ("fr", "appuyez", "a p u i é"),
    ("fr", "composer", "k on p o z é"),
    ("fr", "messages", "m è s a j"),
    ("fr", "veuillez", "v eu i é"),
    ("fr", "travail", "t r a v a i"),
    ("fr", "numéro", "n u m é r o"),
    ("fr", "nouveaux", "n ou v o"),
    ("fr", "moins", "m ou in"),
    ("fr", "bien", "b i in"),
    ("fr", "option", "o p s i on"),
    ("fr", "reçu", "r e s u"),
    ("fr", "quitter", "k i t é"),
    ("fr", "qu'", "k"),
    ("fr", "ligne", "l i n i"),
    ("fr", "maison", "m è z on"),
    ("fr", "mangeons", "m an j on"),
    ("it", "chiamata", "k i a m a t a"),
    ("it", "cinque", "ci i n k u e"),
    ("it", "lasciare", "l a sci a r e"),
    ("it", "uscire", "u sci i r e"),
    ("it", "asterisco", "a s t e r i s k o"),
    ("it", "messaggio", "m e s a gi o"),
    ("it", "paghi", "p a g i"),
    ("it", "giugno", "gi u n i o"),
    ("it", "luglio", "l u l i o"),
    ("it", "accedere", "a ci e d e r e"),
    ("it", "perché", "p e r k e"),
    ("it", "acqua", "a k u a"),
    ("it", "ciao", "ci a o"),
    ("it", "dell'", "d e l"),
    ("ru", "сегодня", "с е г о д н я"),
    ("ru", "нового", "н о в о в о"),
    ("ru", "находится", "н а х о д и ц а"),
    ("ru", "что", "ш т о"),
    ("ru", "съели", "с е л и"),
]


@pytest.mark.parametrize(("language", "word", "phones"), SPELT)
def test_words_are_spelt_as_they_sound(language, word, phones):
    assert " ".join(spelling.spell(language, word)) == phones


_LETTERS = {
    "es": "abcdefghijklmnopqrstuvwxyzñ",
    "fr": "abcdefghijklmnopqrstuvwxyzàâçéèêëîïôùûœ",
    "it": "abcdefghijklmnopqrstuvwxyzàèéìòù",
    "ru": "абвгдежзийклмнопрстуфхцчшщъыьэюя",
}


@given(st.data(), st.sampled_from(sorted(_LETTERS)))
def test_any_letters_end_and_every_phone_is_one_the_language_uses(data, language):
    word = data.draw(st.text(_LETTERS[language], min_size=1, max_size=12))
    phones = spelling.spell(language, word)
    assert all(phone.isalpha() for phone in phones)
    # Letters that only ever share a phone with another are not phones themselves.
    silent = {"es": "hqvwxyzñc", "fr": "hqwxyçâêôœc", "it": "hjkqwxyc", "ru": "ъ"}[language]
    assert not set(phones) & (set(silent) - {"k"})


def test_every_word_has_a_pronunciation_and_phones_carry_their_language():
    words = ["goodbye", "unmute", "ivr", "a", "goodbye"]
    entries = lexicon.lexicon("en", words)
    assert entries[0] == ("<unk>", ["spn"])
    assert {word for word, _ in entries} == {*words, "<unk>"}
    assert all(phone.startswith("en_") for word, phones in entries[1:] for phone in phones)
    assert ("unmute", ["en_ah", "en_n", "en_m", "en_y", "en_uw", "en_t"]) in entries
    assert not any(c.isdigit() for _, phones in entries for phone in phones for c in phone)


def test_variants_that_differ_only_in_stress_come_once():
    entries = [tuple(phones) for word, phones in lexicon.lexicon("en", ["record"])]
    assert len(entries) == len(set(entries)) > 2


def test_letters_have_their_names_in_every_language():
    assert ("w", ["es_d", "es_o", "es_b", "es_l", "es_e", "es_u"]) in lexicon.lexicon("es", ["w"])
    assert ("z", ["fr_z", "fr_è", "fr_d"]) in lexicon.lexicon("fr", ["z"])
    assert ("c", ["it_ci", "it_i"]) in lexicon.lexicon("it", ["c"])


def test_a_word_of_the_recipe_s_own_list_is_not_spelt_by_rule():
    assert [p for w, p in lexicon.lexicon("fr", ["sept"])][1:] == [["fr_s", "fr_è", "fr_t"]]


def test_unknown_english_words_are_named_with_the_file_to_add_them_to():
    with pytest.raises(InputError, match=r"2 words .*: xqzzy, zzyzzyx(.|\n)*en\.txt"):
        lexicon.lexicon("en", ["goodbye", "zzyzzyx", "xqzzy"])
