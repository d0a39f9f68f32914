"""Lattices that Kaldi made, packed by the lattices stage."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from omegaconf import OmegaConf

from asr_hf.data.lattice_store import LatticeStore
from asr_hf.runtime.errors import InputError
from asr_hf.stages import lattices as stage

from ...hmm.lattice.kaldi_archives import PATHS, TOY, binary, paths, text, write
from ...kaldi.experiments import make_alignment_folder, write_alignments, write_store
from ...typed import typed


def test_phones_that_share_pdfs_are_taken_from_the_alignments(
    tmp_path: Path, real: SimpleNamespace
) -> None:
    from asr_hf.hmm.kaldi import kaldi_hmm_gmm as khg

    topology = real.topology
    tree = khg.monophone_context_dependency_shared(
        [[1], [2, 3]], topology.get_phone_to_num_pdf_classes()
    )
    shared = SimpleNamespace(tree=tree, transitions=khg.TransitionModel(tree, topology))
    folder = make_alignment_folder(tmp_path / "exp/denlats", shared, True)
    corpus = tmp_path / "data/kaldi"
    write_store(corpus / "store/train", {"u1": 4, "u2": 4}, pdfs=shared.transitions.num_pdfs)
    write(folder / "lat.1.gz", {"u1": binary(TOY)})
    write(folder / "lat.2.gz", {"u2": text(TOY)})
    options = {"from_kaldi": str(folder), "sets": ["train"], "tag": None, "max_skipped": 0.5}
    config = OmegaConf.create(
        {
            "corpus": {"dir": str(corpus)},
            "alignment": {"tag": None, "from_kaldi": None},
            "lattices": options | {"silence_phones": [1]},
        }
    )
    with pytest.raises(InputError, match="phones of the lattices' model share pdfs"):
        stage.run(typed(config))
    ali = make_alignment_folder(tmp_path / "exp/ali", shared, False)
    ids = {"u1": np.array([1, 2, 3, 4], np.int32), "u2": np.array([4, 13, 12, 1], np.int32)}
    write_alignments(ali, ids, 1, False)
    config.alignment.from_kaldi = str(ali)
    assert stage.run(typed(config))["train"]["utterances"] == 2
    store = LatticeStore.open(corpus / "lattices/train")
    for name, path in ids.items():
        phones = [shared.transitions.transition_id_to_phone(int(i)) for i in path]
        assert store.phones(name).tolist() == phones
    write_alignments(ali, {"u1": ids["u1"], "u2": ids["u2"][:3]}, 1, False)
    about = stage.run(typed(config))["train"]
    assert about["skipped"] == {"u2": "its alignment has 3 frames, its lattice 4"}


def test_lattices_of_a_set(tmp_path: Path, real: SimpleNamespace) -> None:
    folder = make_alignment_folder(tmp_path / "exp/denlats", real, True)
    corpus = tmp_path / "data/kaldi"
    write_store(corpus / "store/train", {"u1": 4, "u2": 4}, pdfs=6)
    write(folder / "lat.1.gz", {"u1": binary(TOY), "other": binary(TOY)})
    write(folder / "lat.2.gz", {"u2": text(TOY)})
    options = {"from_kaldi": str(folder), "sets": ["train"], "tag": None, "max_skipped": 0.4}
    config = OmegaConf.create(
        {
            "corpus": {"dir": str(corpus)},
            "alignment": {"tag": None},
            "lattices": options | {"silence_phones": [1]},
        }
    )
    assert stage.run(typed(config))["train"]["utterances"] == 2
    store = LatticeStore.open(corpus / "lattices/train")
    assert store.utterances == ["u1", "u2"] and store.silence_phones == [1]
    assert paths(store.lattice("u2")) == PATHS
    np.testing.assert_array_equal(
        store.pdf_of[1:], real.transitions.transition_id_to_pdf_array()[1:]
    )
    write(folder / "lat.2.gz", {"u2": b"\n0 1 5 1,1,99\n1 0,0,\n\n"})
    with pytest.raises(InputError, match=r"1 of 2 utterances had to be skipped:\s+u2: .*lat\.2"):
        stage.run(typed(config))
    write(folder / "lat.2.gz", {"u2": text(TOY)})
    (folder.parent / "phones.txt").write_text("<eps> 0\nSIL_B 1\na_S 2\nSIL_S 3\n#0 4\n")
    config.lattices.silence_phones = ["SIL"]
    stage.run(typed(config))
    assert LatticeStore.open(corpus / "lattices/train").silence_phones == [1, 3]
    config.lattices.silence_phones = [1, "SPN"]
    with pytest.raises(InputError, match=r"no phone 'SPN' in .*phones\.txt"):
        stage.run(typed(config))
    config.lattices.silence_phones = [4]
    with pytest.raises(InputError, match="4 is no phone"):
        stage.run(typed(config))
    config.lattices.silence_phones = None
    with pytest.raises(InputError, match=r"silence\.csl"):
        stage.run(typed(config))
