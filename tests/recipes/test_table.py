"""A table of recordings as a corpus, with what real tables hold."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_hf.cli.compose import load_config
from asr_hf.data.ark import ArkReader
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.data.validate import validate
from asr_hf.hmm.graph.arpa import arpa_unigrams
from asr_hf.hmm.graph.lexicon import read_lexicon
from asr_hf.runtime.errors import InputError
from asr_hf.stages import features, prepare
from asr_hf.stages.training.stores import open_stores

from ..typed import typed

SENTENCES = ["uno dos tres", "dos tres", "tres uno", "uno uno dos", "cuatro uno", "dos cuatro"]


def write_wav(path: Path, seconds: float = 1.0, rate: int = 8000, channels: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).normal(0, 0.1, (round(seconds * rate), channels))
    soundfile.write(path, noise, rate)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(12):
        write_wav(tmp_path / "wavs" / f"a{number:02d}.wav")
    return tmp_path


def rows(count: int = 12) -> list[str]:
    return [f"wavs/a{n:02d}.wav\t{SENTENCES[n % 6]}" for n in range(count)]


def config_of(folder: Path, table: str | bytes, *overrides: str, name: str = "mine.tsv"):
    path = folder / name
    path.write_bytes(table if isinstance(table, bytes) else table.encode())
    return load_config([f"table={path}", f"paths.data={folder / 'data'}", *overrides])


def prepared(folder: Path, lines: list[str], *overrides: str, header: str = "audio\ttext"):
    """The corpus of a table, and its data directories by set."""
    config = config_of(folder, "\n".join([header, *lines]) + "\n", *overrides)
    about, root = prepare.run(typed(config)), Path(config.corpus.dir)
    return about, {name: DataDir.read(root / name) for name in config.corpus.sets}


def everyone(sets: dict[str, DataDir]) -> dict[str, str | None]:
    return {u.id: u.text for data in sets.values() for u in data.utterances}


def test_a_plain_table_becomes_a_corpus_named_after_it(folder):
    about, sets = prepared(folder, rows())
    assert (about["name"], about["sample_rate"], about["languages"]) == ("mine", 8000, ["xx"])
    assert everyone(sets) == {f"wavs_a{n:02d}": SENTENCES[n % 6] for n in range(12)}
    assert all(data.utterances for data in sets.values())
    utterance = sets["train"].utterances[0]
    assert Path(sets["train"].wavs[utterance.recording]) == folder / f"wavs/{utterance.id[5:]}.wav"
    assert (utterance.speaker, utterance.language) == (utterance.id, "xx")


def test_the_same_sentence_is_never_in_two_sets(folder):
    _, sets = prepared(folder, rows(), "corpus.held_out=0.2")
    texts = [{u.text for u in data.utterances} for data in sets.values()]
    assert not texts[0] & texts[1] and not texts[0] & texts[2] and not texts[1] & texts[2]


def test_many_speakers_are_held_out_whole(folder):
    lines = [f"{row}\tspk{n}" for n, row in enumerate(rows()[:11])] + [rows()[11] + "\tspk0"]
    _, sets = prepared(folder, lines, header="audio\ttext\tspeaker")
    speakers = [{u.speaker for u in data.utterances} for data in sets.values()]
    assert sum(map(len, speakers)) == len(set.union(*speakers)) == 11
    assert all(u.id.startswith(u.speaker) for data in sets.values() for u in data.utterances)


def test_splits_and_other_names_of_columns_are_those_of_the_table(folder):
    names = ["Train", "validation", "TEST", "", "dev", "train"]
    lines = [f"cv\ts1\ta{n:02d}.wav\t{SENTENCES[n]}\t{name}" for n, name in enumerate(names)]
    config = config_of(
        folder,
        "\n".join(["notes\tclient_id\tpath\tsentence\tsplit", *lines]),
        f"corpus.audio={folder}/wavs",
    )
    about = prepare.run(typed(config))
    counts = {name: row["utterances"] for name, row in about["summary"]["xx"].items()}
    assert counts == {"train": 3, "dev": 2, "test": 1}


def test_a_spreadsheet_s_table_is_read(folder):
    """A byte order mark, line ends of Windows, its slashes, quotes around commas, blank lines."""
    lines = [b"\xef\xbb\xbfText,Audio", b'"Uno, dos: ""tres""",wavs\\a00.wav', b",,"[:1] + b""]
    lines += [f"{SENTENCES[n % 6]},wavs\\a{n:02d}.wav".encode() for n in range(1, 12)]
    config = config_of(folder, b"\r\n".join(lines) + b"\r\n", name="mine.csv")
    prepare.run(typed(config))
    root = Path(config.corpus.dir)
    texts = everyone({name: DataDir.read(root / name) for name in config.corpus.sets})
    assert texts["wavs_a00"] == "uno dos tres" and len(texts) == 12


def test_quotation_marks_in_a_table_with_tabs_are_text(folder):
    lines = [*rows()[1:], 'wavs/a00.wav\t"Uno" dijo\u2026 «dos»']
    _, sets = prepared(folder, lines)
    assert everyone(sets)["wavs_a00"] == "uno dijo dos"


def test_composed_and_decomposed_letters_are_one_word(folder):
    write_wav(folder / "wavs" / unicodedata.normalize("NFD", "ñandú.wav"))
    name = unicodedata.normalize("NFD", "ñandú")
    _, sets = prepared(folder, [*rows(), f"wavs/{name}.wav\t{name.upper()}"])
    found = everyone(sets)
    assert found["wavs_ñandú"] == "ñandú" == unicodedata.normalize("NFC", found["wavs_ñandú"])
    lexicon = read_lexicon(folder / "data/mine/lang/xx/lexicon.txt", "xx")
    assert lexicon.pronunciations["ñandú"] == (("xx_ñ", "xx_a", "xx_n", "xx_d", "xx_ú"),)


def test_what_cannot_be_used_is_listed_by_line_and_reason(folder):
    write_wav(folder / "wavs/stereo.wav", channels=2)
    (folder / "wavs/empty.wav").write_bytes(b"")
    bad = [
        "wavs/none.wav\tuno",
        "wavs/a00.wav\t...!",
        "wavs/a01.wav\tuno 2",
        "wavs/stereo.wav\tuno",
        "wavs/empty.wav\tuno",
        "wavs/a02.wav\totra vez",
    ]
    about, sets = prepared(folder, [*rows(), *bad], "corpus.max_skipped=0.4")
    reasons = {key.split()[1]: why for key, why in about["skipped"].items()}
    assert {line: why.split(":")[0] for line, why in reasons.items()} == {
        "14": "no such audio file",
        "15": "no words in its transcript",
        "16": "'2' cannot be read letter by letter",
        "17": "2 channels",
        "18": "empty audio file",
        "19": "the same name as in line 4",
    }
    assert len(everyone(sets)) == 12
    with pytest.raises(InputError, match=r"6 of 18 utterances had to be skipped"):
        prepared(folder, [*rows(), *bad], "corpus.max_skipped=0.3")


def test_numbers_are_read_in_a_language(folder):
    _, sets = prepared(folder, [*rows()[1:], "wavs/a00.wav\tMarque 12 o 3."], "corpus.numbers=es")
    assert everyone(sets)["wavs_a00"] == "marque doce o tres"


def test_marks_of_noise_train_spoken_noise_and_are_not_scored(folder):
    marked = ["uno [ruido] dos", "uno {SMACK} dos", "uno (laughter) dos", "uno <sil> ++UH++ dos"]
    lines = [f"{row}\ttrain" for row in rows()[4:10]]
    lines += [f"wavs/a{n:02d}.wav\t{text}\ttrain" for n, text in enumerate(marked)]
    lines += ["wavs/a10.wav\tuno <unk> dos\tdev", "wavs/a11.wav\tuno\ttest"]
    about, sets = prepared(folder, lines, header="audio\ttext\tsplit")
    texts = everyone(sets)
    assert {texts[f"wavs_a{n:02d}"] for n in range(4)} == {"uno <unk> dos"}
    assert texts["wavs_a10"] == "uno dos"
    assert about["marks_left_out"] == dict.fromkeys(
        ["[ruido]", "{SMACK}", "(laughter)", "<sil>", "++UH++", "<unk>"], 1
    )
    assert "<unk>" not in (folder / "data/mine/lang/xx/lm_text").read_text()


def test_numbers_that_may_be_read_in_several_ways_skip_their_row_by_name(folder):
    bad = ["wavs/a00.wav\t$5", "wavs/a01.wav\tin 1990", "wavs/a02.wav\t3,5", "wavs/a03.wav\t1990s"]
    good = ["wavs/a04.wav\t1,000", "wavs/a05.wav\t2,500,000", *rows()[6:]]
    about, sets = prepared(folder, [*bad, *good], "corpus.numbers=en", "corpus.max_skipped=0.4")
    reasons = [why.split(" can be read")[0] for why in about["skipped"].values()]
    assert reasons == ["'$5'", "'1990'", "'3,5'", "'1990s'"]
    assert everyone(sets)["wavs_a04"] == "one thousand"
    assert everyone(sets)["wavs_a05"] == "two million five hundred thousand"
    dictionary = folder / "words.dict"
    dictionary.write_text("one w\n")
    more = ["corpus.numbers=en", "corpus.max_skipped=0.4", f"corpus.lexicon={dictionary}"]
    assert len(prepared(folder, [*bad, *good], *more)[0]["skipped"]) == 4


@pytest.mark.parametrize("code", ["hi", "zh", "est", "slk", "fry"])
def test_a_language_without_numbers_is_refused_before_the_table_is_read(tmp_path, code):
    config = config_of(tmp_path, "no table at all", f"corpus.numbers={code}")
    with pytest.raises(InputError, match=rf"corpus\.numbers={code}: .*\n.*one of am, ar, az"):
        prepare.run(typed(config))


@pytest.mark.parametrize("key", ["numbers", "lexicon", "lm_text"])
def test_a_list_in_the_place_of_one_value_a_language_is_refused(folder, key):
    with pytest.raises(InputError, match=rf"corpus\.{key}=\[fr,it\]: a list where"):
        prepared(folder, rows(), "corpus.languages=[fr,it]", f"corpus.{key}=[fr,it]")


def test_case_is_that_of_the_language(folder):
    lines = [*rows()[1:], "wavs/a00.wav\tISPARTA İstanbul"]
    _, sets = prepared(folder, lines, "corpus.languages=[tr]")
    assert everyone(sets)["wavs_a00"] == "ısparta istanbul"


@pytest.mark.parametrize("disk", ["NFC", "NFD"])
@pytest.mark.parametrize("table", ["NFC", "NFD"])
def test_a_file_s_name_is_found_in_either_form(folder, disk, table):
    name = "ñandú/é/ｗ ガ.wav"
    write_wav(folder / unicodedata.normalize(disk, name))
    line = unicodedata.normalize(table, f"{name}\tuno dos")
    _, sets = prepared(folder, [*rows()[1:], line])
    (data,) = [d for d in sets.values() if any("ガ" in u.id for u in d.utterances)]
    assert Path(data.wavs["ñandú_é_ｗ_ガ"]).is_file()


def test_white_space_of_every_kind_parts_words(folder):
    lines = [*rows()[1:], "wavs/a00.wav\tuno\u00a0dos\u3000tres\u2009uno"]
    for more in ([], ["corpus.tidy=false"]):
        _, sets = prepared(folder, lines, *more)
        assert everyone(sets)["wavs_a00"] == "uno dos tres uno"


def test_a_line_of_a_dictionary_or_text_is_refused_by_its_number(folder):
    dictionary = folder / "words.dict"
    for text, message in (
        ("uno u\ndos\u00a0tres d", "words.dict:2: U"),
        ("uno 1.0 u\n", "dict:1:"),
    ):
        dictionary.write_text(text)
        with pytest.raises(InputError, match=message):
            prepared(folder, rows(), f"corpus.lexicon={dictionary}")
    dictionary.write_bytes(b"uno\nca\xf1a\n")
    with pytest.raises(InputError, match=r"words\.dict: not UTF-8 at byte 6, in line 2"):
        prepared(folder, rows(), f"corpus.lm_text={dictionary}")


def test_transcripts_that_are_tidy_already_stay_as_they_are(folder):
    lines = [*rows()[1:], "wavs/a00.wav\tUNO DoS"]
    _, sets = prepared(folder, lines, "corpus.tidy=false")
    assert everyone(sets)["wavs_a00"] == "UNO DoS"


def test_segments_and_channels_of_one_recording(folder):
    write_wav(folder / "wavs/call.wav", seconds=10, channels=2)
    header = "audio\ttext\tspeaker\tstart\tend\tchannel"
    lines = [f"{row}\t\t\t\t" for row in rows()]
    lines += ["wavs/call.wav\tuno dos\tanna\t0.5\t2\t1", "wavs/call.wav\tdos\tbert\t0.5\t2\t2"]
    lines += ["wavs/call.wav\ttres\tbert\t9\t10.2\t2", "wavs/call.wav\ttres\tbert\t9\t11\t2"]
    about, sets = prepared(folder, lines, "corpus.max_skipped=0.1", header=header)
    by_id = {u.id: u for data in sets.values() for u in data.utterances}
    call = by_id["bert-wavs_call-0000050-0000200-2"]
    assert (call.recording, call.channel, call.start, call.end) == ("wavs_call", 1, 0.5, 2.0)
    assert by_id["anna-wavs_call-0000050-0000200-1"].channel == 0
    assert list(about["skipped"].values()) == ["ends after its recording of 10.00 s"]


def test_a_dictionary_s_words_are_pronounced_and_others_counted(folder):
    dictionary = folder / "words.dict"
    dictionary.write_text(";;; a comment\nUNO U N O\nDOS D O S\nDOS(2) D O Z\nTRES T R E S\n")
    about, _ = prepared(folder, rows(), f"corpus.lexicon={dictionary}")
    lang = folder / "data/mine/lang/xx"
    lexicon = read_lexicon(lang / "lexicon.txt", "xx")
    assert lexicon.pronunciations["dos"] == (("D", "O", "S"), ("D", "O", "Z"))
    assert set(lexicon.pronunciations) == {"<unk>", "uno", "dos", "tres"}
    assert (lang / "missing.txt").read_text() == "cuatro 4\n"
    assert sum(row["unknown_words"] for row in about["summary"]["xx"].values()) >= 4


def test_words_that_a_dictionary_lacks_are_guessed_where_that_is_asked_for(folder, caplog):
    dictionary = folder / "words.dict"
    known = ["uno U N O", "tres T R E S", "cuadro K U A D R O", "cuota K U O T A"]
    dictionary.write_text("\n".join(known) + "\n")
    overrides = [f"corpus.lexicon={dictionary}", "corpus.missing_words=g2p"]
    lines = [*rows()[:-1], "wavs/a11.wav\tñu"]
    prepared(folder, lines, *overrides)
    lang = folder / "data/mine/lang/xx"
    lexicon = read_lexicon(lang / "lexicon.txt", "xx")
    assert lexicon.pronunciations["cuatro"] == (("K", "U", "A", "T", "R", "O"),)
    guesses = [line.split()[0] for line in (lang / "guessed.txt").read_text().splitlines()]
    assert guesses == ["cuatro", "dos"]
    assert (lang / "missing.txt").read_text() == "ñu 1\n"
    assert "2 words that are not in the dictionary are guessed: cuatro dos (" in caplog.text
    with pytest.raises(InputError, match=r"corpus\.missing_words=letters"):
        prepared(folder, lines, *overrides, "corpus.missing_words=letters")


def test_more_text_makes_more_words_known(folder):
    more = folder / "more.txt"
    more.write_text("Cinco, seis.\n\n")
    prepared(folder, rows(), f"corpus.lm_text={more}")
    words = {word for word, _ in arpa_unigrams(folder / "data/mine/lang/xx/lm.arpa")}
    assert {"cinco", "seis"} <= words


def test_a_split_without_what_is_needed_is_refused(folder):
    lines = [f"{row}\ttrain" for row in rows()]
    with pytest.raises(InputError, match="no recordings for dev, test"):
        prepared(folder, lines, header="audio\ttext\tsplit")


def test_words_that_only_held_out_sets_have_are_aligned_but_not_recognised(folder):
    lines = [f"{row}\ttrain" for row in rows()[:10]]
    lines += ["wavs/a10.wav\tnunca\tdev", "wavs/a11.wav\tuno nunca\ttest"]
    about, _ = prepared(folder, lines, header="audio\ttext\tsplit")
    lang = folder / "data/mine/lang/xx"
    assert "nunca" in read_lexicon(lang / "lexicon.txt", "xx")
    assert "nunca" not in {word for word, _ in arpa_unigrams(lang / "lm.arpa")}
    unknown = {name: row["unknown_words"] for name, row in about["summary"]["xx"].items()}
    assert unknown == {"train": 0, "dev": 1, "test": 1}


def test_languages_have_their_own_words_and_letters(folder):
    lines = [f"{row}\t{('es', 'it')[n % 2]}" for n, row in enumerate(rows())]
    header = "audio\ttext\tlang"
    with pytest.raises(InputError, match=r"corpus.languages=\[es,it\]"):
        prepared(folder, lines, header=header)
    about, sets = prepared(folder, lines, "corpus.languages=[es,it]", header=header)
    assert set(about["summary"]) == {"es", "it"}
    assert {u.language for data in sets.values() for u in data.utterances} == {"es", "it"}
    assert "it_d" in read_lexicon(folder / "data/mine/lang/it/lexicon.txt", "it").phones
    assert "es_c" in read_lexicon(folder / "data/mine/lang/es/lexicon.txt", "es").phones


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("audio\twhat\nx.wav\tuno\n", r":1: no column text among audio, what"),
        ("", r":1: no column audio or text among none"),
        ("audio\ttext\n", "no recordings"),
        ("audio\tpath\ttext\n", "columns 'audio' and 'path' are both audio"),
        ("audio\ttext\nx.wav\n", r":2: 1 fields"),
        ("audio\ttext\n\tuno\n", r":2: no audio file"),
        ("audio\ttext\tsplit\nx.wav\tuno\ttrian\n", r":2: split 'trian'"),
        ("audio\ttext\tstart\nx.wav\tuno\tsoon\n", r":2: start 'soon'"),
        ("audio\ttext\tstart\nx.wav\tuno\tnan\n", r":2: start 'nan'"),
        ("audio\ttext\tstart\tend\nx.wav\tuno\t2\t1\n", r":2: from 2 to 1 s"),
        ("audio\ttext\tchannel\nx.wav\tuno\t0\n", r":2: channel '0'"),
        (f"audio\ttext\tchannel\nx.wav\tuno\t{'9' * 5000}\n", r":2: channel '9+'"),
        ("audio\ttext\nx.wav\tma\xf1ana\n".encode("latin-1"), "mine.tsv: .*utf-8"),
    ],
)
def test_malformed_tables_are_refused_by_line(folder, table, message):
    with pytest.raises(InputError, match=message):
        prepare.run(typed(config_of(folder, table)))


def test_a_table_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.tsv: cannot be read"):
        prepare.run(typed(load_config([f"table={tmp_path}/none.tsv", f"paths.data={tmp_path}"])))
    with pytest.raises(InputError, match="no table of recordings"):
        prepare.run(typed(load_config(["+recipe=table", f"paths.data={tmp_path}"])))


def test_preparing_again_does_nothing_until_the_table_or_a_file_changes(folder):
    prepared(folder, rows())
    made = folder / "data/mine/corpus.json"
    first = made.stat().st_mtime_ns
    prepared(folder, rows())
    assert made.stat().st_mtime_ns == first
    write_wav(folder / "wavs/a03.wav", seconds=1.5)
    prepared(folder, rows())
    second = made.stat().st_mtime_ns
    assert second != first
    prepared(folder, [*rows()[:-1], "wavs/a11.wav\tuno cinco"])
    assert made.stat().st_mtime_ns != second


def test_recordings_of_several_rates_are_brought_to_that_of_most(folder):
    write_wav(folder / "wavs/a05.wav", rate=16000)
    config = config_of(folder, "\n".join(["audio\ttext", *rows()]))
    assert prepare.run(typed(config))["sample_rate"] == 8000
    found = features.run(typed(config))
    assert all(not about["skipped"] for about in found.values())
    assert {about["options"]["sample_rate"] for about in found.values()} == {8000}
    frames = json.loads((Path(config.corpus.dir) / "fbank/train/fbank.json").read_text())["frames"]
    assert frames == 98 * found["train"]["utterances"]
    with pytest.raises(InputError, match="no recording has more than 16000 Hz"):
        prepare.run(
            typed(
                config_of(folder, "\n".join(["audio\ttext", *rows()]), "corpus.sample_rate=44100")
            )
        )


def test_the_short_form_is_the_recipe_with_its_table(tmp_path):
    config = load_config([f"table='{tmp_path}/my calls (2).tsv'", "paths.data=d"])
    assert (config.corpus.name, config.name) == ("my-calls-2", "my-calls-2")
    assert config.corpus.table == f"{tmp_path}/my calls (2).tsv"
    assert config.features.resample and config.features.sample_rate is None
    named = load_config(["table=a.tsv", "corpus.name=other"])
    assert named.corpus.name == "other"
    with pytest.raises(InputError, match="no name for a corpus"):
        load_config(["table=."])


def test_messages_say_how_a_table_goes_on(folder):
    config = config_of(folder, "\n".join(["audio\ttext", *rows()]))
    with pytest.raises(InputError, match=r"prepare table=.*mine\.tsv"):
        features.run(typed(config))
    with pytest.raises(InputError, match=r"prepare, features and align with table=.*mine\.tsv"):
        open_stores(typed(config))


def test_lengths_of_any_format_are_one_and_the_same_to_all_stages(folder):
    audio = Path(__file__).parents[1] / "data" / "audio"
    # Seconds by ffmpeg, see counts.tsv there.
    files = {
        "noxing-11025.mp3": 11520 / 11025,
        "noxing-loudfirst.mp3": 46080 / 16000,
        "lame-22050.mp3": 19845 / 22050,
        "gsm.wav": 7360 / 8000,
        "pipe.flac": 3200 / 8000,
        "opus.opus": 43200 / 48000,
    }
    for name in files:
        (folder / "wavs" / name).write_bytes((audio / name).read_bytes())
    lines = [f"wavs/{name}\tuno dos\ttrain" for name in files]
    lines += [f"{row}\t{('dev', 'test')[n]}" for n, row in enumerate(rows(2))]
    settings = ("corpus.sample_rate=8000",)
    about, sets = prepared(folder, lines, *settings, header="audio\ttext\tsplit")
    assert about["skipped"] == {}
    assert validate(sets["train"].path) == []
    minutes = about["summary"]["xx"]["train"]["minutes"]
    assert minutes == pytest.approx(sum(files.values()) / 60, abs=0.006)
    table = (folder / "mine.tsv").read_bytes()
    config = config_of(folder, table, *settings)
    assert features.run(typed(config))["train"]["skipped"] == {}
    found = ArkReader(Path(config.corpus.dir) / "fbank/train/feats.scp")
    for name, seconds in files.items():
        (key,) = (key for key in found if key == f"wavs_{Path(name).stem}")
        # Windows of 25 ms every 10 ms.
        assert abs(len(found[key]) - (1 + (seconds - 0.025) / 0.01)) < 1.01
