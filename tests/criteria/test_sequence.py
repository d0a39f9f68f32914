"""MMI, sMBR and MPFE against sums over every path, finite differences and dense covariances."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from asr_hf.criteria.cross_entropy import CrossEntropy
from asr_hf.criteria.mbr import MinimumBayesRisk
from asr_hf.criteria.mmi import MaximumMutualInformation
from asr_hf.criteria.sequence import SequenceCriterion

KAPPA, NU = 0.6, 0.8
PHONE_OF_PDF = [1, 2, 2, 3, 4]
PDF_OF, PHONE_OF = [0, 0, 1, 2, 3, 4, 0, 2, 3], [0, 1, 2, 2, 3, 4, 1, 2, 3]
SILENCE = (1, 4)
CLOSE = {"rtol": 1e-9, "atol": 1e-9}
FEW = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SEEDS = given(seed=st.integers(0, 10**6))
CRITERIA = {
    "mmi": MaximumMutualInformation(KAPPA, NU),
    "boosted": MaximumMutualInformation(KAPPA, NU, boost=0.3),
    "smbr": MinimumBayesRisk(KAPPA, lm_scale=NU),
    "smbr, silence wrong": MinimumBayesRisk(KAPPA, one_silence_class=False, lm_scale=NU),
    "mpfe": MinimumBayesRisk(KAPPA, level="phone", lm_scale=NU),
    "smoothed": MinimumBayesRisk(KAPPA, lm_scale=NU, smoothing=0.2),
}


def right(case, level: str, one_silence: bool):
    """Whether an arc gets its frame right, written out."""

    def of_arc(frame: int, label: int) -> float:
        reference = int(case.labels[frame])
        phone, wanted = PHONE_OF[label], PHONE_OF_PDF[reference]
        same = PDF_OF[label] == reference if level == "pdf" else phone == wanted
        if wanted in SILENCE:
            return float(one_silence and (same or phone in SILENCE))
        return float(same)

    return of_arc


def by_enumeration(name: str, case, logits: Tensor) -> Tensor:
    """The summed loss, through every path; autograd may follow it."""
    if name in ("mmi", "boosted"):

        def boost(frame: int, label: int) -> float:
            wrong = PHONE_OF[label] != PHONE_OF_PDF[int(case.labels[frame])]
            return 0.3 * (name == "boosted" and wrong and PHONE_OF[label] not in SILENCE)

        totals, _ = case.path_sums(logits, KAPPA, NU, lambda frame, label: 0.0, boost)
        labels = case.labels
        reference = logits.gather(1, labels[:, None])[:, 0] - case.log_priors[labels]
        return totals.sum() - KAPPA * reference.sum()
    level = "phone" if name == "mpfe" else "pdf"
    count = right(case, level, name != "smbr, silence wrong")
    _, expected = case.path_sums(logits, KAPPA, NU, count)
    risk = len(logits) - expected.sum()
    if name != "smoothed":
        return risk
    frames = torch.nn.functional.cross_entropy(logits, case.labels, reduction="sum")
    return 0.8 * risk + 0.2 * frames


@pytest.mark.parametrize("name", CRITERIA)
@FEW
@SEEDS
def test_loss_and_gradient_equal_enumeration_and_its_autograd(make_case, name, seed):
    case, criterion = make_case(seed), CRITERIA[name]
    logits = case.logits.clone().requires_grad_()
    expected = by_enumeration(name, case, logits)
    (gradient,) = torch.autograd.grad(expected, logits)
    loss, found = criterion.loss_and_gradient(case.logits, case.targets)
    torch.testing.assert_close(loss.total, expected.detach(), **CLOSE)
    torch.testing.assert_close(loss.per_frame.sum(), expected.detach(), **CLOSE)
    torch.testing.assert_close(found, gradient, **CLOSE)
    torch.testing.assert_close(criterion.loss(case.logits, case.targets).total, loss.total)
    assert int(loss.errors) == int((case.logits.argmax(1) != case.labels).sum())


@pytest.mark.parametrize("name", CRITERIA)
def test_gradients_equal_finite_differences(make_case, name):
    case, criterion = make_case(11, utterances=2), CRITERIA[name]
    gradient = criterion.gradient(case.logits, case.targets)
    step = 1e-6
    for place in torch.randperm(case.logits.numel(), generator=torch.Generator().manual_seed(0))[
        :8
    ]:
        change = torch.zeros_like(case.logits)
        change.view(-1)[place] = step
        up, down = (criterion.loss(case.logits + s * change, case.targets).total for s in (1, -1))
        assert float(up - down) / (2 * step) == pytest.approx(
            float(gradient.view(-1)[place]), abs=1e-7
        )


def dense(curvature, logits: Tensor) -> Tensor:
    size = logits.numel()
    identity = torch.eye(size, dtype=torch.float64).view(size, *logits.shape)
    return torch.stack([curvature(u).reshape(-1) for u in identity])


def hessian_of_log_z(case, logits: Tensor) -> Tensor:
    """κ² Cov(occupancies): log Z is a cumulant generating function."""

    def total(z: Tensor) -> Tensor:
        return case.path_sums(z.view(logits.shape), KAPPA, NU, lambda frame, label: 0.0)[0].sum()

    return torch.autograd.functional.hessian(total, logits.reshape(-1))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("smoothing", [0.0, 0.25])
@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@SEEDS
def test_curvatures_equal_dense_ones(make_case, smoothing, seed):
    case = make_case(seed, utterances=2, max_frames=3)
    exact = hessian_of_log_z(case, case.logits)
    frames, classes = case.logits.shape
    blocks = torch.block_diag(*torch.ones(frames, classes, classes, dtype=torch.float64))
    softmax = dense(CrossEntropy().curvature(case.logits), case.logits)
    for kind, expected in (
        ("lattice", exact),
        ("frame", exact * blocks),
        ("cross_entropy", None),
    ):
        criterion = MinimumBayesRisk(KAPPA, lm_scale=NU, smoothing=smoothing, curvature=kind)
        found = dense(criterion.curvature(case.logits, case.targets), case.logits)
        wanted = softmax if expected is None else (1 - smoothing) * expected + smoothing * softmax
        torch.testing.assert_close(found, wanted, **CLOSE)
        assert torch.linalg.eigvalsh(found).min() > -1e-9


@pytest.mark.parametrize("kind", ["lattice", "frame", "cross_entropy"])
def test_curvatures_may_work_in_place(make_case, kind):
    case = make_case(5)
    curvature = MinimumBayesRisk(KAPPA, smoothing=0.1, curvature=kind).curvature(
        case.logits, case.targets
    )
    vector = torch.randn(case.logits.shape, dtype=torch.float64)
    expected = curvature(vector.clone())
    for _ in range(2):
        inside = vector.clone()
        assert curvature(inside, out=inside) is inside
        torch.testing.assert_close(inside, expected)


@pytest.mark.parametrize("kind", ["frame", "cross_entropy"])
def test_sampled_gradients_have_the_curvature_as_second_moment(make_case, kind):
    case, draws = make_case(10, utterances=1, max_frames=2), 20000
    criterion = MaximumMutualInformation(KAPPA, NU, smoothing=0.3, curvature=kind)
    many = replace(
        case,
        lattices=case.lattices * draws,
        logits=case.logits.repeat(draws, 1),
        labels=case.labels.repeat(draws),
    )
    generator = torch.Generator().manual_seed(0)
    uniforms = torch.rand(len(many.labels), 2, generator=generator, dtype=torch.float64)
    drawn = criterion.sampled_gradient(many.logits, many.targets, uniforms).view(draws, -1)
    expected = dense(criterion.curvature(case.logits, case.targets), case.logits)
    frames, classes = case.logits.shape
    blocks = torch.block_diag(*torch.ones(frames, classes, classes, dtype=torch.float64))
    found = drawn.T @ drawn / draws * blocks
    torch.testing.assert_close(found, expected, rtol=0.0, atol=0.006)


def test_dropped_frames_have_no_gradient_and_others_keep_theirs(make_case):
    case = make_case(4, utterances=4)
    arcs = case.targets.lattices
    met = {int(f) for f, k in zip(arcs.frame, arcs.pdf, strict=True) if k == case.labels[f]}
    assert 0 < len(met) < len(case.labels)
    kept = MaximumMutualInformation(KAPPA).gradient(case.logits, case.targets)
    found = MaximumMutualInformation(KAPPA, drop_frames=True).gradient(case.logits, case.targets)
    for frame in range(len(case.labels)):
        expected = kept[frame] if frame in met else torch.zeros_like(kept[frame])
        torch.testing.assert_close(found[frame], expected)


@pytest.mark.parametrize("name", [n for n in CRITERIA if n != "smoothed"])
def test_a_frame_s_constant_changes_no_gradient(make_case, name):
    case, criterion = make_case(9), CRITERIA[name]
    shift = torch.randn(len(case.logits), 1, dtype=torch.float64)
    before = criterion.loss_and_gradient(case.logits, case.targets)
    after = criterion.loss_and_gradient(case.logits + shift, case.targets)
    torch.testing.assert_close(after[1], before[1], **CLOSE)
    torch.testing.assert_close(after[0].total, before[0].total, **CLOSE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_narrower_logits_give_what_wide_ones_give(make_case, dtype):
    case, criterion = make_case(13), CRITERIA["smbr"]
    narrow = case.logits.to(dtype)
    loss, gradient = criterion.loss_and_gradient(narrow, case.targets)
    exact, expected = criterion.loss_and_gradient(narrow.double(), case.targets)
    torch.testing.assert_close(loss.total, exact.total, rtol=1e-6, atol=1e-6)
    assert gradient.dtype == dtype
    torch.testing.assert_close(gradient.double(), expected, rtol=0.02, atol=1e-3)
    vector = torch.randn(case.logits.shape).to(dtype)
    product = criterion.curvature(narrow, case.targets)(vector)
    assert product.dtype == dtype
    full = criterion.curvature(narrow.double(), case.targets)(vector.double())
    torch.testing.assert_close(product.double(), full, rtol=0.02, atol=1e-2)


@pytest.mark.parametrize(
    "settings_of",
    [
        {"acoustic_scale": 0.0},
        {"acoustic_scale": 0.1, "lm_scale": -1.0},
        {"acoustic_scale": 0.1, "smoothing": 1.0},
        {"acoustic_scale": 0.1, "curvature": "hessian"},
    ],
)
def test_settings_out_of_range_are_refused(settings_of):
    with pytest.raises(ValueError, match=r"needs|valid"):
        MinimumBayesRisk(**settings_of)


def test_a_criterion_needs_an_evaluation():
    with pytest.raises(TypeError):
        SequenceCriterion(0.1)  # type: ignore[abstract]
