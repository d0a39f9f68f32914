"""Parsers of corpus files that recipes prepare."""

from __future__ import annotations

import gzip
import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import soundfile

from asr_hf.data.audio import open_recording
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.resources import load_recipe
from scripts.fuzz.parsers import Parser

_RATE = 8000


def _module(recipe: str, name: str) -> ModuleType:
    package = load_recipe(recipe).__package__
    return importlib.import_module(f"{package}.{name}")


_acronyms = _module("switchboard", "acronyms")
_fisher = _module("switchboard", "fisher")
_hub5 = _module("switchboard", "hub5")
_lexicon = _module("switchboard", "lexicon")
_speakers = _module("switchboard", "speakers")
_sphere = _module("switchboard", "sphere")
_tokens = _module("switchboard", "tokens")
_transcripts = _module("switchboard", "transcripts")
_fetch = _module("prompts", "fetch")
_text = _module("prompts", "text")
_rows = _module("table", "rows")
_words = _module("table", "text")
_dictionary = _module("table", "lexicon")

_TRANSCRIPT = """sw2001A-ms98-a-0001 0.000000 0.977625 [silence]
sw2001A-ms98-a-0002 0.977625 11.561375 hi um [laughter-yeah] i- I'd like IBM I <b_aside> ok
sw2001A-ms98-a-0003 11.561375 12.0 ammu[n]it- {yuppiedom} them_1 -[an]y [yeam/yeah] T V
"""
_DICTIONARY = """# a comment
a ey
a ax
hi hh ay
ibm ay b iy eh m
i ay
them_1 dh eh m
tv t iy v iy
"""
_PEM = """;; a comment
en_4156 A unknown_speaker 301.85 302.48
en_4156 B unknown_speaker 303.71 304.61
sw_4390 1 unknown_speaker 1.5 3
"""
_STM = """;; CATEGORY "0" "" ""
en_4156 A en_4156_A 301.85 302.48 <O,en,F,en-F> (%HESITATION) OH YEAH
en_4156 B en_4156_B 303.71 304.61 <O,en,M,en-M> { YOU'RE / YOU ARE / @ } <B_ASIDE> RIGHT
sw_4390 1 sw_4390_A 1.5 3 <O,sw1,M,sw1-M> IGNORE_TIME_SEGMENT_IN_SCORING
sw_4390 2 inter_segment_gap 3 4 <O>
"""
_FISHER = """# fe_03_00001.sph
# Transcribed at the LDC

3.76 5.54 A: and ((the)) t. v. [laughter]
5.54 7.10 B: i._b._m.'s [noise] - yeah
"""
_PROMPTS = """\ufeff; Core sounds

vm-goodbye: Goodbye
digits/1: one
beep: [a simple beep tone]
letters/at: at [@]
conf: There are 12 callers, press 1.
"""


def _compats() -> list[object]:
    return [_tokens.Compat.CORRECT, _tokens.Compat.KALDI]


def _make_transcripts(folder: Path) -> None:
    side = folder / "20" / "2001"
    side.mkdir(parents=True, exist_ok=True)
    (side / "sw2001A-ms98-a-trans.text").write_text(_TRANSCRIPT)


def _parse_transcripts(folder: Path) -> None:
    for compat in _compats():
        acronyms = _acronyms.Acronyms({"IBM": "i._b._m.", "I": "i.", "T": "t.", "V": "v."}, compat)
        _transcripts.read_transcripts(folder, acronyms, compat)


def _make_dictionary(folder: Path) -> None:
    (folder / "dict").write_text(_DICTIONARY)
    (folder / "patch").write_text("# a comment\n+ um ah m\n- a ax\n- hi\n")


def _parse_dictionary(folder: Path) -> None:
    for compat in _compats():
        entries = _lexicon.read_dictionary(folder / "dict", folder / "patch")
        _lexicon.make_lexicon(entries, compat)


def _make_conv_tab(folder: Path) -> None:
    (folder / "conv.tab").write_text("2001,301,1001,1002,,\n2005, 302, 1028,1030,x,y\n")


def _make_evaluation(folder: Path) -> None:
    (folder / "pem").write_text(_PEM)
    (folder / "stm").write_text(_STM)


def _parse_evaluation(folder: Path) -> None:
    turns, references = _hub5.read_pem(folder / "pem"), _hub5.read_stm(folder / "stm")
    _hub5.cleaned_stm(folder / "stm")
    _hub5.match_turns(_hub5.pad(turns), references, str(folder))


def _make_fisher(folder: Path) -> None:
    deep = folder / "data" / "trans" / "000"
    deep.mkdir(parents=True, exist_ok=True)
    (deep / "fe_03_00001.txt").write_text(_FISHER)


def _make_sphere(folder: Path) -> None:
    samples = (3000 * np.sin(np.arange(800) / 5)).astype(np.int16).reshape(-1, 2)
    soundfile.write(folder / "sw02001.sph", samples, _RATE, format="NIST", subtype="ULAW")
    fields = {"sample_count": 400, "sample_n_bytes": 1, "channel_count": 2, "sample_rate": _RATE}
    lines = [f"{key} -i {value}" for key, value in fields.items()]
    head = "\n".join(["NIST_1A", "   1024", *lines, "sample_coding -s4 ulaw", "end_head", ""])
    (folder / "sw02002.sph").write_bytes(head.ljust(1024).encode() + bytes(range(200)) * 4)


def _parse_sphere(folder: Path) -> None:
    for name in ("sw02001.sph", "sw02002.sph"):
        sound = _sphere.check_recording(folder / name)
        if isinstance(sound, str):
            raise InputError(sound)
        open_recording(sound.path).read(_RATE, 1)


def _make_prompts(folder: Path) -> None:
    for name in ("plain", "packed"):
        (folder / name).mkdir(exist_ok=True)
        soundfile.write(folder / name / "vm-goodbye.wav", np.ones(10), _RATE)
    (folder / "plain" / "core-sounds-en.txt").write_text(_PROMPTS, encoding="utf-8")
    packed = gzip.compress(_PROMPTS.encode(), mtime=0)
    (folder / "packed" / "core-sounds-en.txt.gz").write_bytes(packed)


def _parse_prompts(folder: Path) -> None:
    for name in ("plain", "packed"):
        recordings = _fetch.find_recordings("en", str(folder / name), folder)
        for prompt, text in _text.parse_transcripts(recordings.transcripts).items():
            _text.normalise(prompt, text, "en", {})


_TABLE = """audio,text,speaker,split,start,end,channel
a.wav,"Hello, [noise] world 12",ann,train,0,1.5,1
b.wav,It's größer,ben,test,,,2
"""


def _make_table(folder: Path) -> None:
    (folder / "table.csv").write_text(_TABLE, encoding="utf-8")
    tabs = _TABLE.replace('"Hello, [noise] world 12"', "Hello").replace(",", "\t")
    (folder / "table.tsv").write_text(tabs, encoding="utf-8")
    (folder / "dict").write_text(";;; a comment\nhello hh ah l ow\nread(2) r eh d\n")


def _parse_table(folder: Path) -> None:
    for name in ("table.csv", "table.tsv"):
        for row in _rows.read_rows(folder / name):
            _words.read_transcript(row.text, "en", "en")
    _dictionary.read_dictionary(folder / "dict", str.lower)


PARSERS = (
    Parser(
        "switchboard-transcripts",
        _make_transcripts,
        _parse_transcripts,
        ("*.text",),
        (b"[laughter-", b"<b_aside>", b"[", b"/", b"sw2001B-ms98-a-0001 ", b"_1", b"I"),
    ),
    Parser(
        "switchboard-dictionary",
        _make_dictionary,
        _parse_dictionary,
        tokens=(b"# ", b"+ ", b"- ", b"_1", b"I", b"AI", b"'s", b"z"),
    ),
    Parser(
        "conv-tab",
        _make_conv_tab,
        lambda f: _speakers.read_conv_tab(f / "conv.tab"),
        tokens=(b",", b",,", b'"'),
    ),
    Parser(
        "nist-references",
        _make_evaluation,
        _parse_evaluation,
        tokens=(
            b";;",
            b"IGNORE_TIME_SEGMENT_",
            b"inter_segment_gap",
            b"{",
            b"/",
            b"@",
            b"((",
            b"<",
        ),
    ),
    Parser(
        "fisher",
        _make_fisher,
        lambda f: list(_fisher.fisher_sentences([f])),
        ("*.txt",),
        (b"((", b"))", b"t. v. ", b"._", b"'s", b"# ", b"A: "),
    ),
    Parser(
        "sphere", _make_sphere, _parse_sphere, tokens=(b"NIST_1A", b"-i 1", b"shorten", b"-s4 ")
    ),
    Parser(
        "table",
        _make_table,
        _parse_table,
        tokens=(b",", b"\t", b'"', b'""', b"(2)", b";;;", b"[", b"<unk>", b"dev"),
    ),
    Parser(
        "prompts",
        _make_prompts,
        _parse_prompts,
        ("*.txt", "*.txt.gz"),
        (b": ", b"; ", b"[", b"]", b"(", b"#", b"\xe2\x80\x99"),
    ),
)
