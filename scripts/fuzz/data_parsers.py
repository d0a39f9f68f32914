"""Parsers of archives, alignments, data directories, audio and stores."""

from __future__ import annotations

import gzip
from pathlib import Path

import kaldiio
import numpy as np
import soundfile
import torch

from asr_hf.data.alignment import Alignments
from asr_hf.data.ark import ArkReader, ArkWriter, read_ark
from asr_hf.data.audio import open_recording
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.data.lattice import ARC, FINAL, Lattice
from asr_hf.data.lattice_store import LatticeStore
from asr_hf.data.lattice_writer import LabelMap, write_lattices
from asr_hf.data.store import FrameStore
from asr_hf.data.store_writer import build_store
from asr_hf.data.validate import validate
from asr_hf.runtime.files import read_json, write_json
from scripts.fuzz.parsers import Parser

_CPU = torch.device("cpu")
_KALDI = (b"\0B", b"FM \4", b"DM \4", b"CM ", b"CM2 ", b"CM3 ", b"FV \4", b"\0BFM \4", b"[ ", b" ]")
_RATE = 8000


def _matrices() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    return {f"utt-{n}": draw.normal(size=(5 + n, 3)).astype(np.float32) for n in range(3)}


def _make_ark(folder: Path) -> None:
    kaldiio.save_ark(str(folder / "plain.ark"), _matrices())
    kaldiio.save_ark(str(folder / "text.ark"), _matrices(), text=True)
    kaldiio.save_ark(str(folder / "packed.ark"), _matrices(), compression_method=2)
    kaldiio.save_ark(str(folder / "bytes.ark"), _matrices(), compression_method=5)
    numbers = {"a": np.arange(9, dtype=np.int32), "b": np.arange(4, dtype=np.float64)}
    kaldiio.save_ark(str(folder / "vectors.ark"), numbers)
    plain = (folder / "plain.ark").read_bytes()
    (folder / "zipped.ark").write_bytes(gzip.compress(plain, mtime=0))


def _parse_ark(folder: Path) -> None:
    for path in sorted(folder.glob("*.ark")):
        for _ in read_ark(path):
            pass


def _make_scp(folder: Path) -> None:
    kaldiio.save_ark(str(folder / "a.ark"), _matrices(), scp=str(folder / "a.scp"))
    with ArkWriter(folder, "b") as ark:
        for key, matrix in _matrices().items():
            ark.write(key, matrix)


def _parse_scp(folder: Path) -> None:
    for name in ("a.scp", "b.scp"):
        reader = ArkReader(folder / name)
        for key in reader:
            assert reader[key].dtype.kind in "fi"


def _make_alignments(folder: Path) -> None:
    pdfs = {f"utt-{n}": np.arange(8, dtype=np.int32) % 5 for n in range(3)}
    kaldiio.save_ark(str(folder / "binary.ark"), pdfs)
    text = "".join(f"{key} {' '.join(map(str, value))}\n" for key, value in pdfs.items())
    (folder / "text.ark").write_text(text)
    (folder / "zipped.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    Alignments(pdfs, 5).write(folder)


def _parse_alignments(folder: Path) -> None:
    for name in ("binary.ark", "text.ark", "zipped.gz"):
        Alignments.from_kaldi(folder / name)
        Alignments.from_kaldi(folder / name, 5)
    Alignments.read(folder)


def _make_directory(folder: Path) -> None:
    names = [f"spk{n % 2}-utt{n}" for n in range(4)]
    utterances = [
        Utterance(name, name[:4], f"rec{n // 2}", n // 2, n * 1.5, n * 1.5 + 1, "some words", "en")
        for n, name in enumerate(names)
    ]
    wavs = {"rec0": str(folder / "rec0.wav"), "rec1": str(folder / "rec1.wav")}
    DataDir(folder, utterances, wavs).write()


def _parse_directory(folder: Path) -> None:
    validate(folder)
    DataDir.read(folder)


def _make_audio(folder: Path) -> None:
    samples = (3000 * np.sin(np.arange(800) / 5)).astype(np.int16)
    forms = {"a.wav": "WAV", "b.flac": "FLAC", "c.ogg": "OGG", "d.sph": "NIST", "f.aiff": "AIFF"}
    forms |= {"g.au": "AU", "h.caf": "CAF", "i.w64": "W64", "j.mp3": "MP3"}
    for name, form in forms.items():
        soundfile.write(folder / name, samples, _RATE, format=form)
    fields = {"sample_count": 100, "sample_n_bytes": 2, "channel_count": 1, "sample_rate": _RATE}
    lines = [f"{key} -i {value}" for key, value in fields.items()]
    head = "\n".join(["NIST_1A", "   1024", *lines, "sample_coding -s3 pcm", "end_head", ""])
    (folder / "e.sph").write_bytes(head.ljust(1024).encode() + samples[:100].tobytes())


def _parse_audio(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        open_recording(path).read(_RATE)


def _make_store(folder: Path) -> None:
    with ArkWriter(folder / "fbank", "feats") as ark:
        for key, matrix in _matrices().items():
            ark.write(key, matrix)
    write_json(folder / "fbank" / "fbank.json", {"cmvn": "none"})
    utterances = [Utterance(name, name, name) for name in _matrices()]
    pdfs = {name: np.arange(len(m), dtype=np.int32) % 4 for name, m in _matrices().items()}
    data = DataDir(folder, utterances, {})
    build_store(folder / "store", data, folder / "fbank", Alignments(pdfs, 4))
    build_store(folder / "bare", data, folder / "fbank", Alignments(pdfs, 4))
    unseal(folder / "bare" / "store.json")


def unseal(path: Path) -> None:
    """Remove the checksums of a store, which would keep mutated files from its parsers."""
    (path.parent / "checksums.npy").unlink()
    about = read_json(path)
    write_json(path, {key: about[key] for key in about if key not in ("checksum", "files")})


def _parse_store(folder: Path) -> None:
    for name in ("store", "bare"):
        store = FrameStore.open(folder / name)
        _ = store.utterances, store.speakers, store.label_counts()
        store.gather(np.arange(store.num_units), _CPU)


def _make_lattices(folder: Path) -> None:
    arcs = np.array([(0, 1, 1, 1, -0.5, -2), (0, 2, 2, 0, -1, -1), (1, 3, 1, 2, 0, 0),
                     (2, 3, 1, 0, 0, -4)], ARC)  # fmt: skip
    places, finals = np.array([0, 1, 1, 2], np.int32), np.array([(3, 0.0)], FINAL)
    every = [Lattice(name, arcs, places, finals) for name in ("a", "b")]
    table = np.array([0, 0, 1], np.int32)
    for name in ("lattices", "bare"):
        write_lattices(folder / name, every, LabelMap(table, table, [1]), {"origin": "x"})
    unseal(folder / "bare" / "lattices.json")


def _parse_lattices(folder: Path) -> None:
    for name in ("lattices", "bare"):
        for _ in LatticeStore.open(folder / name).check():
            pass


PARSERS = (
    Parser("ark", _make_ark, _parse_ark, tokens=_KALDI),
    Parser("scp", _make_scp, _parse_scp, tokens=(*_KALDI, b"|", b":", b"cat |", b"[0:3]")),
    Parser("alignments", _make_alignments, _parse_alignments, tokens=_KALDI),
    Parser(
        "data-directory", _make_directory, _parse_directory, tokens=(b"|", b"-1", b"A", b"rec0")
    ),
    Parser(
        "audio",
        _make_audio,
        _parse_audio,
        tokens=(b"RIFF", b"data", b"-i 1", b"shorten", b"OggS", b"\xff\xfb"),
    ),
    Parser("frame-store", _make_store, _parse_store, ("store/*", "bare/*")),
    Parser("lattice-store", _make_lattices, _parse_lattices, ("lattices/*", "bare/*")),
)
