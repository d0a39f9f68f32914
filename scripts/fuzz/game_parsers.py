"""Files of the games whose dialogue is a corpus, and what reads them."""

from __future__ import annotations

import importlib
from pathlib import Path

from asr_hf.runtime.resources import load_recipe
from scripts.fuzz.parsers import Parser
from scripts.queen_container import Said, container, dialogue, lists, numbers, scene

_package = load_recipe("queen").__package__
_container = importlib.import_module(f"{_package}.container")
_collect = importlib.import_module(f"{_package}.collect")
_lines = importlib.import_module(f"{_package}.lines")
_dialogs = importlib.import_module(f"{load_recipe('fillets').__package__}.dialogs")

_SCRIPT = r"""-- a comment
dialogId("let-m-divna", "font_small", "What \"kind\" is it?")
dialogStr("Co je to za divnou \"loď\"?")

dialogId("let-v-vrak", "font_big", "A wreck.")
dialogStr(
"Vrak.\\")
"""


def _make_game(folder: Path) -> None:
    hero, other = [(0, "*FRHello.*03Who are you?"), (9, "*XY00(12,112)Bye!")], [(6, "Bob.*00*01")]
    steps = [Said(0, "Look!*03"), Said(1, "*FL*02Where?", frames=2, people=1), Said(2, "")]
    entries = {
        "BOB1.DOG": dialogue(6, hero, other, ("Yes?", "Hi."), levels=-2),
        "C1A.CUT": scene(steps),
        "QUEEN.JAS": numbers(2, 2, [1, -2]),
        "QUEEN2.JAS": lists(["It's a rock.*24", "c1a.CUT"], ["No."], ["Faye", "rock"]),
        "06SSSSJ2.SB": b"\xff\xf3",
        "C1A__011.SB": b"\xff\xf3",
    }
    (folder / "queen.1c").write_bytes(container(entries))


def _parse_game(folder: Path) -> None:
    game = _container.Container(folder / "queen.1c")
    _lines.match(_collect.spoken_lines(game, frozenset()), game.entries)
    for name in game.entries:
        game.content(name)


def _make_script(folder: Path) -> None:
    (folder / "dialogs_cs.lua").write_text(_SCRIPT, encoding="utf-8")


PARSERS = (
    Parser(
        "queen",
        _make_game,
        _parse_game,
        tokens=(b"QTBL", b"*", b"*XY", b".DOG", b".CUT", b".SB", b"\xff\xfe", b"\x7f\xff", b"../"),
    ),
    Parser(
        "fillets",
        _make_script,
        lambda f: _dialogs.read_dialogs(f / "dialogs_cs.lua"),
        tokens=(b'"', b"\\", b"--", b'dialogStr("', b'dialogId("a", "font_big", ', b"%1"),
    ),
)
