"""Pack a corpus that is ready for training for another machine: `make gpu-pack`.

usage: python -m benchmarks.gpu.pack [FILE] [--corpus prompts5] [--data data]

The file holds the frame stores of the training and the held-out set with their records, as they
lie under data/<corpus>/store, and nothing that they were made from.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tarfile
from pathlib import Path

from asr_hf.data.store import FrameStore
from asr_hf.runtime import artefact
from asr_hf.runtime.ending import with_exit_code
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import atomic_path, replaced_folder
from asr_hf.runtime.logs import configure_logging
from asr_hf.runtime.provenance import indented
from benchmarks.study.runs import ROOT

log = logging.getLogger("asr_hf.benchmarks")

PACKED = ROOT / "build/gpu-data.tar.gz"
SETS = ("train", "dev")
# A corpus of a few hours; larger ones would take the check's time to be copied.
MAX_BYTES = 60 << 20


def check_stores(corpus: Path) -> int:
    """Compare every byte of a corpus's training and held-out store with its checksum.

    Args:
        corpus: folder of the corpus.

    Returns:
        The number of frames of both.

    Raises:
        InputError: a store is missing or damaged.
    """
    frames = 0
    for name in SETS:
        folder = corpus / "store" / name
        store = FrameStore.open(folder)
        if (folder / artefact.RECORD).is_file() and (damaged := artefact.read(folder).damage()):
            raise InputError(
                f"{folder}: damaged:\n{indented(damaged)}",
                remedy="make the store again with: asr-hf align",
            )
        frames += sum(store.check())
    return frames


def pack(corpus: Path, target: Path, max_bytes: int = MAX_BYTES) -> int:
    """Pack the stores of a corpus.

    Args:
        corpus: folder of the corpus.
        target: file to write, a tar file compressed by gzip.
        max_bytes: largest size of the file.

    Returns:
        The size of the file (bytes).

    Raises:
        InputError: a store is missing or damaged, or the file would be too large.
    """
    frames = check_stores(corpus)
    with atomic_path(target) as temporary:
        with tarfile.open(temporary, "w:gz", compresslevel=6) as file:
            for name in SETS:
                inside = Path(corpus.name, "store", name)
                file.add(corpus / "store" / name, str(inside), filter=_nameless)
        size = temporary.stat().st_size
        if size > max_bytes:
            raise InputError(
                f"{corpus}: {frames} frames take {size / 2**20:.0f} MiB",
                expected=f"at most {max_bytes / 2**20:.0f} MiB",
                remedy="choose a smaller corpus with --corpus",
            )
    return size


def _nameless(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out hidden files, and who owned the others."""
    if Path(member.name).name.startswith("."):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def unpack(packed: Path, folder: Path) -> Path:
    """Unpack a corpus and check it.

    Args:
        packed: file that `pack` wrote.
        folder: folder of prepared corpora, which is replaced.

    Returns:
        The folder of the corpus.

    Raises:
        InputError: the file is damaged or holds something else.
    """
    try:
        with replaced_folder(folder) as part, tarfile.open(packed, "r:gz") as file:
            file.extractall(part, filter="data")
            corpora = [path for path in part.iterdir() if path.is_dir()]
            if len(corpora) != 1:
                raise InputError(
                    f"{packed}: {len(corpora)} corpora", expected="the one that make gpu-pack wrote"
                )
            check_stores(corpora[0])
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InputError(f"{packed}: cannot be unpacked: {error}") from error
    return folder / corpora[0].name


@with_exit_code
def main(given: list[str]) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="make gpu-pack", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("file", type=Path, nargs="?", default=PACKED)
    parser.add_argument("--corpus", default="prompts5")
    parser.add_argument("--data", type=Path, default=ROOT / "data", help="prepared corpora")
    options = parser.parse_args(given)
    configure_logging(debug=False)
    size = pack(options.data / options.corpus, options.file)
    log.info("%s: %.1f MiB", options.file, size / 2**20)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
