"""Data directories of one's own go to word errors by the commands of docs/your-data.md."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import soundfile
import torch

from asr_hf.data.resampling import resample

from ..pages import Page, Shell
from .ways import OWN, OWN_ALIGNMENT, OWN_NET

PAGE, TITLE = Page("docs/your-data.md"), "With data directories of your own"
# Fewer iterations come further with the preset.
SHORTER = OWN | {"align": OWN_ALIGNMENT, "train": [*OWN_ALIGNMENT, *OWN_NET, "+preset=kfac_cg"]}


@pytest.fixture(scope="module")
def own(walked, tmp_path_factory) -> Path:
    """Data directories of 16 kHz, a lexicon and a text, as a user of such has them."""
    folder = tmp_path_factory.mktemp("own")
    given = walked("docs/tutorials/own-recordings.md") / "data" / "table"
    target = folder / "data" / "mine"
    (target / "lang" / "en").mkdir(parents=True)
    (folder / "wavs").mkdir()
    for name in ("train", "dev", "test"):
        shutil.copytree(given / name, target / name)
        wavs = dict(x.split(" ", 1) for x in (given / name / "wav.scp").read_text().splitlines())
        finer = {key: at_16_khz(Path(wav), folder / "wavs") for key, wav in wavs.items()}
        write_table(target / name / "wav.scp", finer)
        spoken = (given / name / "utt2lang").read_text().split()[::2]
        write_table(target / name / "utt2lang", dict.fromkeys(spoken, "en"))
    shutil.copy(given / "lang/xx/lm_text", target / "lang/en")
    # A dictionary that says nothing of unknown words.
    entries = (given / "lang/xx/lexicon.txt").read_text().replace(" xx_", " ").splitlines()
    known = dict(x.split(" ", 1) for x in entries if not x.startswith("<unk>"))
    write_table(target / "lang/en/lexicon.txt", known)
    return folder


def at_16_khz(wav: Path, folder: Path) -> Path:
    samples, rate = soundfile.read(wav, dtype="float32")
    made = resample(torch.from_numpy(samples), rate, 16000)
    soundfile.write(folder / wav.name, made.numpy(), 16000)
    return folder / wav.name


def write_table(path: Path, rows: dict[str, object]) -> None:
    path.write_text("".join(f"{key} {value}\n" for key, value in rows.items()))


def test_directories_of_one_s_own_go_to_word_errors(own):
    shell = Shell(own)
    for block in PAGE.blocks(TITLE):
        if block.file is not None:
            path = own / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        elif block.language == "python":
            shell.python(block.text)
    commands = PAGE.commands(TITLE)
    assert list(commands) == ["validate", "features", "align", "train", "decode", "score"]
    for verb, line in commands.items():
        shell.run(line, SHORTER.get(verb, ()))
    # Most words are known, and a network of seconds recognised some.
    wer = json.loads((own / "exp" / "mine" / "result.json").read_text())["wer"]
    assert wer["words"] > 80 and wer["percent"] < 85.0
    # The recipe at the end of the page stands for what the commands before it say.
    long = "corpus=mine name=mine features.sample_rate=16000"
    said = shell.run(commands["features"].replace(long, "+recipe=mine"))
    assert said.count("there already") == 3
