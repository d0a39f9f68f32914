"""Writes the folders of the corpora as their publishers lay them out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path

from asr_hf.runtime.files import write_text

from ..tokens import map_token
from .awkward import Transcriber
from .dialogue import RATE, Conversation, SpokenTurn
from .sphere import write_sphere

_FIRST = 2001
# Seconds by which a segment extends beyond the speech in it.
_MARGIN = 0.1


def write_training(
    root: Path, talks: Sequence[Conversation], transcriber: Transcriber, truncated: bool
) -> None:
    """Write LDC97S62 and swb_ms98_transcriptions.

    Args:
        root: folder that both are written to.
        talks: conversations.
        transcriber: writer of the words.
        truncated: whether the last recording is cut in half.
    """
    audio, texts = root / "LDC97S62", root / "swb_ms98_transcriptions"
    callers = []
    for number, talk in enumerate(talks, start=_FIRST):
        # One file name is in capitals, as on discs read by some systems.
        name = f"sw0{number}.sph" if number != _FIRST + 1 else f"SW0{number}.SPH"
        path = audio / f"disc{1 + number % 2}" / "data" / name
        write_sphere(path, talk.samples, RATE)
        if truncated and number == _FIRST + len(talks) - 1:
            whole = path.read_bytes()
            path.write_bytes(whole[: len(whole) // 2])
        for index, side in enumerate("AB"):
            lines = _side_lines(f"sw{number}{side}-ms98-a", talk, index, transcriber)
            folder = texts / str(number)[:2] / str(number)
            write_text(folder / f"sw{number}{side}-ms98-a-trans.text", lines)
        # The last conversation's callers are not known.
        if number < _FIRST + len(talks) - 1:
            callers.append(f"{number},301,{1000 + number % 7},{1100 + number % 5},910304")
    write_text(audio / "docs" / "conv.tab", "".join(f"{line}\n" for line in callers))
    write_text(texts / "sw-ms98-dict.text", _dictionary(transcriber))


def _side_lines(name: str, talk: Conversation, side: int, transcriber: Transcriber) -> str:
    """Write one side's transcript: its words, and silence between them."""
    margin, end = int(_MARGIN * RATE), len(talk.samples)
    rows: list[tuple[int, int, str]] = []
    at = 0
    for turn in talk.of_side(side):
        start, stop = max(at, turn.start - margin), min(end, turn.end + margin)
        if start > at:
            rows.append((at, start, "[silence]"))
        rows.append((start, stop, " ".join(transcriber.tokens(turn.prompt.words))))
        at = stop
    if at < end:
        rows.append((at, end, "[silence]"))
    return "".join(
        f"{name}-{i:04d} {start / RATE:.6f} {stop / RATE:.6f} {text}\n"
        for i, (start, stop, text) in enumerate(rows, start=1)
    )


def _dictionary(transcriber: Transcriber) -> str:
    head = "#\n# Pronunciations of the replica\n#\n\n[silence] sil\n[laughter] lau\n[noise] nsn\n"
    words = transcriber.dictionary | {
        # A lone capital stands for itself in text; the recipe brings the letters' names.
        word: pronunciations
        for word, pronunciations in transcriber.pronunciations.items()
        if len(word) > 1
    }
    return head + "".join(
        f"{word} {' '.join(phones)}\n"
        for word in sorted(words)
        for phones in words[word]
        if not word.startswith("[silence")
    )


def write_eval2000(root: Path, talks: Sequence[Conversation]) -> None:
    """Write LDC2002S09 and LDC2002T43, half as Switchboard (sw_), half as CallHome (en_)."""
    audio = root / "LDC2002S09" / "hub5e_00" / "english"
    named = {
        f"sw_{4390 + i}" if i % 2 == 0 else f"en_{4156 + i}": talk for i, talk in enumerate(talks)
    }
    for name, talk in named.items():
        write_sphere(audio / f"{name}.sph", talk.samples, RATE)
    turns = [(n, t, i) for n, talk in sorted(named.items()) for i, t in enumerate(talk.turns)]
    pem = [f"{n} {'AB'[t.side]} unknown_speaker {_times(t)}" for n, t, _ in turns]
    write_text(audio / "hub5e_00.pem", ";; replica\n" + "".join(f"{line}\n" for line in pem))
    references = root / "LDC2002T43" / "2000_hub5_eng_eval_tr" / "reference"
    stm = [_stm_line(n, "AB"[t.side], t, i) for n, t, i in turns]
    text = _stm_head() + "".join(f"{line}\n" for line in stm)
    write_text(references / "hub5e00.english.000405.stm", text)
    write_text(references / "en20000405_hub5.glm", _glm("en20000405_hub5"))


def write_rt03(root: Path, talks: Sequence[Conversation]) -> None:
    """Write LDC2007S10, whose stm numbers the sides and lists the stretches between segments."""
    data = root / "LDC2007S10" / "data"
    for i, talk in enumerate(talks):
        name = f"fsh_{60262 + i}"
        write_sphere(data / f"audio/eval03/english/cts/{name}.sph", talk.samples, RATE)
        lines = list(
            chain.from_iterable(
                (
                    f"{name} {t.side + 1} inter_segment_gap 0.00 0.00 <O,en,unk>",
                    _stm_line(name, str(t.side + 1), t, n),
                )
                for n, t in enumerate(talk.turns)
            )
        )
        write_text(
            data / f"references/eval03/english/cts/{name}.stm",
            _stm_head() + "".join(f"{line}\n" for line in lines),
        )
    write_text(data / "trans_rules/en20030506.glm", _glm("en20030506"))


def write_fisher(root: Path, sentences: Iterable[Sequence[str]]) -> None:
    """Write LDC2004T19, in the words of the prompts."""
    lines = ["# fe_03_00001.sph", "# Transcribed at the LDC", ""]
    for i, words in enumerate(sentences):
        doubtful = f"(({' '.join(words)}))" if i % 7 == 3 else " ".join(words)
        lines += [f"{4 * i}.00 {4 * i + 3}.50 {'AB'[i % 2]}: {doubtful} [laugh]"[:4000], ""]
    text = "".join(f"{line}\n" for line in lines)
    write_text(root / "LDC2004T19/fe_03_p1_tran/data/trans/000/fe_03_00001.txt", text)


def _times(turn: SpokenTurn) -> str:
    return f"{turn.start / RATE:.2f} {turn.end / RATE:.2f}"


def _stm_line(name: str, side: str, turn: SpokenTurn, number: int) -> str:
    """Write a reference; some have a mark that the recipe has to remove."""
    words = " ".join(map_token(word) for word in turn.prompt.words).upper()
    if turn.prompt.words[0].startswith("["):
        words = "IGNORE_TIME_SEGMENT_IN_SCORING"
    elif number % 5 == 1:
        words = f"<B_ASIDE> {words} <E_ASIDE>"
    elif number % 5 == 3:
        words = f"((%HESITATION) {words}"
    return f"{name} {side} {name}_{side} {_times(turn)} <O,en,F,en-F> {words}"


def _stm_head() -> str:
    labels = {"O": "Overall", "en": "English", "F": "Female", "en-F": "English, female"}
    return "".join(f';; LABEL "{key}" "{name}" "{name}"\n' for key, name in labels.items())


def _glm(name: str) -> str:
    rules: Mapping[str, str] = {
        **dict.fromkeys(("UH", "UM", "EH", "MM", "HM", "AH", "HUH"), "%HESITATION"),
        "CANNOT": "CAN NOT",
        "LOGON": "LOG ON",
    }
    head = (
        f';; {name}.glm of the replica\n* name "{name}"\n* desc "replica"\n* format = \'NIST1\'\n'
    )
    head += "* max_nrules = '100'\n* copy_no_hit = 'T'\n* case_sensitive = 'F'\n"
    return head + "".join(f"[{a}] => [{b}] / [ ] __ [ ]\n" for a, b in rules.items())
