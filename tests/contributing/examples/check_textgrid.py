"""A form of asr-hf's own: the command knows it, and it holds what was recognised."""

from __future__ import annotations

from asr_hf.cli import export as command
from asr_hf.cli.compose import load_config
from asr_hf.cli.typed import settings_of
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.stages import export


def test_words_and_what_lies_between_them(tmp_path):
    spoken = Utterance("a-1", "spk", "a", 0, 1.5, 2.5, "one two")
    DataDir(tmp_path / "corpus/test", [spoken], {"a": "a.wav"}).write()
    decoded = tmp_path / "run/decode/test"
    decoded.mkdir(parents=True)
    (decoded / "words.ctm").write_text('a-1 1 0.25 0.5 one\na-1 1 0.75 0.25 tw"o\n')
    (decoded / "hyp.txt").write_text('a-1 one tw"o\n')
    run = ["+recipe=prompts", f"corpus.dir={tmp_path}/corpus", f"paths.exp={tmp_path}", "name=run"]
    config = load_config([*run, "export.format=textgrid", "export.sets=[test]"])
    (path,) = export.run(settings_of(config))["files"]
    assert path.suffix == ".TextGrid" and "textgrid" in command.__doc__
    lines = path.read_text().splitlines()
    intervals = [lines[n : n + 3] for n in range(12, len(lines), 3)]
    assert intervals == [
        ["0.00", "1.75", '""'],
        ["1.75", "2.25", '"one"'],
        ["2.25", "2.50", '"tw""o"'],
    ]
    assert lines[11] == "3"
