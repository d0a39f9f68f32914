"""Names the folders of a corpus: its alignments, HMM systems, lattices and frame stores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asr_hf.hmm.graph.topology import SUBSAMPLINGS
from asr_hf.runtime import artefact
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json
from asr_hf.runtime.provenance import file_digest
from asr_hf.settings.maker import MissingSetting
from asr_hf.settings.settings import Settings


def prepared_corpus(folder: Path) -> dict[str, Any]:
    """Return the corpus.json of a corpus that asr-hf prepare made; empty without a corpus.

    Raises:
        InputError: the folder holds something else than a corpus, which would be lost.
    """
    if (folder / "corpus.json").exists():
        return dict(read_json(folder / "corpus.json"))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"{folder}: exists and holds no corpus.json",
            expected="a corpus that asr-hf prepare made, or nothing",
            remedy="set corpus.dir or paths.data to a folder of its own, or remove it",
        )
    return {}


def chosen_by(settings: Settings) -> str:
    """Return the override that chooses this corpus on the command line."""
    if settings.corpus.table is not None:
        return f"table={settings.corpus.table}"
    return f"+recipe={settings.corpus.name}"


def features_folder(settings: Settings, name: str) -> Path:
    """Return the folder of the features of the set `name` as it was recorded."""
    return settings.corpus.dir / "fbank" / name


def perturbed_folder(settings: Settings, name: str) -> Path:
    """Return the folder of the features of the set `name` as `features.perturb` alters it."""
    return settings.corpus.dir / "fbank-perturbed" / name


def store_folder(settings: Settings, name: str) -> Path:
    """Return the folder of the frame store of the set `name`."""
    return settings.corpus.dir / _tagged(settings, "store") / name


def subsampling(settings: Settings) -> int:
    """Return k where the model emits every k-th frame, and the HMMs with it; 1 for all frames.

    Raises:
        InputError: there are no HMMs for that.
    """
    every = settings.plain("model.subsampling", 1)
    if type(every) is not int or every not in SUBSAMPLINGS:
        raise InputError(
            f"model.subsampling={every}: a phone of as few frames would be missed",
            expected=f"one of {', '.join(map(str, SUBSAMPLINGS))}",
        )
    if settings.alignment.chain is not None and every == 1:
        raise InputError(
            "alignment.chain: states of every k-th frame, and model.subsampling=1",
            expected="model.subsampling=3, or 2",
            remedy="+stage=lfmmi sets both",
        )
    return every


def system_folder(settings: Settings) -> Path:
    """Return the folder of the HMM system and its decoding graphs."""
    return settings.corpus.dir / _sampled(settings, settings.alignment.system)


def full_rate_folder(settings: Settings) -> Path:
    """Return the folder of the HMM system that emits every frame."""
    return settings.corpus.dir / settings.alignment.system


def monophone_folder(settings: Settings) -> Path:
    """Return the folder of the HMM system of monophones, which the flat start makes."""
    return settings.corpus.dir / "align"


def alignment_folder(settings: Settings, name: str) -> Path:
    """Return the folder of the alignments of the set `name`."""
    return settings.corpus.dir / _tagged(settings, "align") / name


def denominator_folder(settings: Settings) -> Path:
    """Return the folder of the denominator graph of lattice-free MMI."""
    return numerators_folder(settings, "denominator")


def numerators_folder(settings: Settings, name: str) -> Path:
    """Return the folder of the numerator graphs of the set `name`."""
    return settings.corpus.dir / _tagged(settings, "graphs") / name


def lattices_folder(settings: Settings, name: str) -> Path:
    """Return the folder of the denominator lattices of the set `name`."""
    tag = settings.lattices.tag
    return settings.corpus.dir / ("lattices" if tag is None else f"lattices-{tag}") / name


def clean_corpus(settings: Settings) -> Path:
    """Return the folder of the clean corpus that a corpus of copies is made from."""
    return settings.paths.data / str(settings.corpus.clean)


def clean_system_folder(settings: Settings) -> Path:
    """Return the folder of the HMM system of the clean corpus."""
    return clean_corpus(settings) / _sampled(settings, settings.alignment.system)


def clean_alignment_folder(settings: Settings, name: str) -> Path:
    """Return the folder of the alignments of the clean set that the set `name` is made from.

    Their tag is that of this corpus's own alignments.

    Args:
        settings: settings of the command.
        name: name of a set of copies.

    Raises:
        MissingSetting: the settings do not say which set it is made from.
    """
    augmentation = settings.corpus.augmentation
    if augmentation is None or name not in augmentation.sets:
        raise MissingSetting(f"there is no corpus.augmentation.sets.{name}")
    made_of = augmentation.sets[name].of
    return clean_corpus(settings) / _tagged(settings, "align") / made_of


def decoding_scale(run_dir: Path) -> float:
    """Return the acoustic scale that a run decodes its tuning set best with.

    Raises:
        InputError: the run was not decoded, or its model has changed since.
    """
    path = run_dir / "decode" / "best.json"
    check_decoded(path.parent, run_dir)
    if not path.is_file():
        raise InputError(
            f"{path}: the run was not decoded, so its best acoustic scale is not known",
            remedy=f"asr-hf decode name={run_dir.name} with its overrides, or set the scale",
        )
    return float(read_json(path)["best"]["acoustic_scale"])


def check_decoded(folder: Path, run_dir: Path) -> None:
    """Refuse a decoded set if the run has another model now.

    Raises:
        InputError: the model has changed since the set was decoded.
    """
    known, model = artefact.find(folder), run_dir / "model.safetensors"
    network = None if known is None else known.sources.get("network")
    if network is not None and model.is_file() and file_digest(model) != network.digest:
        raise InputError(
            f"{folder}: was decoded with another model than {model}",
            expected="what the run's model recognises; it has been trained on since",
            remedy=f"asr-hf decode {run_dir}",
        )


def _tagged(settings: Settings, kind: str) -> str:
    tag = settings.alignment.tag
    return _sampled(settings, kind if tag is None else f"{kind}-{tag}")


def _sampled(settings: Settings, name: str) -> str:
    every = subsampling(settings)
    if settings.alignment.chain is not None:
        return f"{name}-chain{every}"
    return name if every == 1 else f"{name}-every{every}"
