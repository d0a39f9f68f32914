"""Writes numbers in words where their reading is certain, and lists the others."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from num2words import CONVERTER_CLASSES, num2words

from asr_hf.runtime.errors import InputError

# Signs between groups of thousands; other languages, as French, have only spaces that do not break
# lines.
_COMMA = ("en", "he", "th", "ja", "ko", "kn", "te", "bn", "es_GT", "es_NI")
_STOP = ("de", "es", "it", "pt", "nl", "da", "id", "vi", "ro", "sl", "sr", "tr", "az", "ca", "is")
_GROUPS = dict.fromkeys(_COMMA, ",") | dict.fromkeys(_STOP, ".") | {"fr_CH": "'", "es_CR": ""}
_SPACES = "\u00a0\u202f\u2009"
_POINTS = {"en": (".", "point"), "en_IN": (".", "point"), "de": (",", "Komma")}
# Languages in which years are read as other numbers are.
_PLAIN_YEARS = frozenset(
    [
        "es",
        "ca",
        "fr",
        "it",
        "pt",
        "ro",
        "eo",
        "fi",
        "hu",
        "tr",
        "az",
        "id",
        "ja",
        "vi",
        "th",
        "fa",
        "he",
    ]
)
# Languages in which a number before a full stop is an ordinal: am 3. Mai.
_ORDINAL_STOP = frozenset(
    ["de", "da", "no", "is", "fi", "cs", "sk", "sl", "sr", "hu", "pl", "tr", "az", "lv", "lt"]
)
# Longer numbers without groups are telephone numbers and the like, read digit by digit.
_LONGEST = 6
_LONGEST_GROUPED = 9
_TOKEN = re.compile(rf"(?:\d[{_SPACES}](?=\d)|\S)+")
_OPEN, _CLOSE = "(“”„«»‹›‘\"'¿¡", ".,;:!?…)“”»«›‹’\"'。،؛؟"
_CORE = re.compile(rf"([{re.escape(_OPEN)}]*)(.*?)([{re.escape(_CLOSE)}]*)", re.DOTALL)
_SIGNS = frozenset("%‰٪°#№*/^&@~|\\")
_DASHES = frozenset("-‐‑‒–—―")
_ORDINAL = re.compile(r"(\d{1,6})(st|nd|rd|th)", re.IGNORECASE)


def numbers_language(given: str) -> str:
    """Find the language of num2words that a code such as de, en_IN or pt-BR names.

    Returns:
        Name of the language in num2words.

    Raises:
        InputError: num2words has no such language; the message lists those it has.
    """
    codes: dict[str, str] = {code.lower(): code for code in CONVERTER_CLASSES}
    code = codes.get(given.replace("-", "_").lower())
    if code is None:
        raise InputError(
            f"corpus.numbers={given}: numbers are not read in this language",
            expected=f"one of {', '.join(sorted(CONVERTER_CLASSES))}",
            remedy="corpus.numbers=null, and numbers written as words in the table",
        )
    return code


@dataclass
class _Token:
    """A piece of text between blanks: opening signs, core and closing signs."""

    whole: str
    opening: str
    core: str
    closing: str

    @property
    def is_number(self) -> bool:
        return any(unicodedata.category(c)[0] == "N" for c in self.whole)

    @property
    def is_sign(self) -> bool:
        """Whether the piece is only signs that change how a number is read: %, €, +."""
        return not any(c.isalnum() for c in self.whole) and any(
            c in _SIGNS or unicodedata.category(c) in ("Sc", "Sm") for c in self.whole
        )

    @property
    def is_dash(self) -> bool:
        return set(self.whole) <= _DASHES


def read_numbers(text: str, language: str) -> tuple[str, list[str]]:
    """Write the numbers of a text in words.

    Whole numbers are written in words in all languages, with or without groups of thousands;
    decimals in English and German; and ordinals such as 3rd in English. Numbers that are read in
    another way, or in several ways, stay as they are: years, times, dates, ranges, fractions, sums
    of money, percentages, numbers with signs or leading zeros, telephone numbers, and numbers side
    by side.

    Args:
        text: text of a transcript.
        language: language in num2words.

    Returns:
        The text, and the numbers that stay.
    """
    matches = list(_TOKEN.finditer(text))
    tokens = [_Token(m[0], *_CORE.fullmatch(m[0]).groups()) for m in matches]  # type: ignore[union-attr]
    pieces, unread, at = [], [], 0
    for place, (match, token) in enumerate(zip(matches, tokens, strict=True)):
        if not token.is_number:
            continue
        words = None
        if not _disturbed(tokens, place) and _quoted(token, text):
            stop = "." in token.closing and place + 1 < len(tokens)
            if not (stop and _base(language) in _ORDINAL_STOP):
                words = _words(token.core, language)
        if words is None:
            unread.append(_shown(tokens, place))
            continue
        pieces += [text[at : match.start()], token.opening, words, token.closing]
        at = match.end()
    return "".join([*pieces, text[at:]]), unread


def _base(language: str) -> str:
    return language.split("_")[0]


def _shown(tokens: list[_Token], place: int) -> str:
    """Return a number with the signs beside it, for messages."""
    near = range(max(place - 1, 0), min(place + 2, len(tokens)))
    kept = [i for i in near if i == place or tokens[i].is_sign or tokens[i].is_dash]
    return " ".join(tokens[i].whole for i in kept)


def _quoted(token: _Token, text: str) -> bool:
    """Return whether marks behind a number are quotation marks, not feet and inches."""
    if "'" in token.closing or "’" in token.closing:
        return "'" in token.opening or "‘" in token.opening
    return '"' not in token.closing or text.count('"') % 2 == 0


def _disturbed(tokens: list[_Token], place: int) -> bool:
    """Return whether the neighbours of a number may change how it is read."""
    before = tokens[place - 1] if place else None
    after = tokens[place + 1] if place + 1 < len(tokens) else None
    token = tokens[place]
    if before is not None:
        if before.is_sign and not token.opening:
            return True
        beyond = tokens[place - 2] if place > 1 else None
        if before.is_dash and ("-" in before.whole or (beyond is not None and beyond.is_number)):
            return True
        if before.is_number and not before.closing and not token.opening:
            return len(token.whole) > 1 or len(before.whole) > 1
    if after is None or token.closing:
        return False
    beyond = tokens[place + 2] if place + 2 < len(tokens) else None
    if after.is_sign or (after.is_dash and beyond is not None and beyond.is_number):
        return True
    return after.is_number and not after.opening and len(token.core) + len(after.core) > 2


def _words(core: str, language: str) -> str | None:
    """Write a number in words; None when its reading is not certain."""
    if core.isdecimal():
        certain = len(core) <= _LONGEST and not _may_be_year(int(core), language)
        return _cardinal(core, language) if certain else None
    if digits := _ungrouped(core, language):
        return _cardinal(digits, language)
    if _base(language) == "en" and (ordinal := _ORDINAL.fullmatch(core)):
        return _ordinal(int(ordinal[1]), ordinal[2].lower(), language)
    return _decimal(core, language)


def _may_be_year(number: int, language: str) -> bool:
    base = _base(language)
    if base in _PLAIN_YEARS:
        return False
    if base == "de":
        return 1100 <= number < 2000
    return 1100 <= number < 2000 or 2010 <= number < 2100


def _cardinal(digits: str, language: str) -> str | None:
    """Write a whole number in words; None with leading zeros, or where num2words fails."""
    if len(digits) > 1 and int(digits[0]) == 0:
        return None
    try:
        words = str(num2words(int(digits), lang=language))
    except (ArithmeticError, LookupError, NotImplementedError, TypeError, ValueError):
        return None
    return None if any(c.isdecimal() for c in words) else words


def _ungrouped(core: str, language: str) -> str:
    """Join groups of three digits; empty where the language does not group in that way."""
    mark = _GROUPS.get(language, _GROUPS.get(_base(language), ""))
    marks = [*_SPACES, *([mark] if mark else []), *(["’"] if mark == "'" else [])]
    for separator in marks:
        groups = core.split(separator)
        lengths = [len(group) for group in groups]
        thirds = lengths[1:] == [3] * (len(groups) - 1)
        indian = language == "en_IN" and lengths[1:] == [2] * (len(groups) - 2) + [3]
        if len(groups) > 1 and 1 <= lengths[0] <= 3 and (thirds or indian):
            digits = "".join(groups)
            if digits.isdecimal() and len(digits) <= _LONGEST_GROUPED:
                return digits
    return ""


def _ordinal(number: int, ending: str, language: str) -> str | None:
    teen = number % 100 in (11, 12, 13)
    right = "th" if teen else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return str(num2words(number, to="ordinal", lang=language)) if ending == right else None


def _decimal(core: str, language: str) -> str | None:
    """Write a decimal in words, digit by digit after the point; None where it may be thousands."""
    if language not in _POINTS:
        return None
    mark, point = _POINTS[language]
    whole, separator, places = core.partition(mark)
    if not separator or not (whole.isdecimal() and places.isdecimal()) or len(places) == 3:
        return None
    if len(whole) > _LONGEST or (before := _cardinal(whole, language)) is None:
        return None
    digits = [str(num2words(int(digit), lang=language)) for digit in places]
    return " ".join([before, point, *digits])
