"""What is timed is what it claims to be."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from asr_hf.curvature.precision import Precision
from asr_hf.runtime.errors import RunError
from benchmarks.bars import cpu_bars
from benchmarks.gemm import product_gemms
from benchmarks.lbfgs import difference, make_pairs
from benchmarks.methods import METHODS, flat, methods_in
from benchmarks.nets import NETS, Net, Problem
from benchmarks.products import differences, summarise
from benchmarks.rounds import Round, Rounds
from benchmarks.two_loop import TwoLoop

CPU = torch.device("cpu")
SMALL = Net("small", (22, 7, 5, 4), 6)
PEERS = {"curvlinops": "curvlinops", "backpack": "backpack"}


def in_place(_: object, left: list[int], right: list[int], **__: object) -> int:
    return 2 * left[0] * left[1] * right[1]


def flops_of(task: object) -> int:
    # torch's counter does not know the in-place form.
    known = {torch.ops.aten.addmm_: in_place}
    with FlopCounterMode(display=False, custom_mapping=known) as counter:
        task()  # type: ignore[operator]
    return counter.get_total_flops()


def needs_peer(name: str) -> None:
    if name in PEERS and importlib.util.find_spec(PEERS[name]) is None:
        pytest.skip(f"{name} is not installed")


def test_parameters_are_counted_as_the_model_has_them() -> None:
    assert SMALL.parameters == SMALL.model().flat.numel()


def test_the_nets_of_the_paper() -> None:
    assert [net.layout for net in NETS] == ["440-1024×5-2220", "440-2048×6-9300"]
    assert [net.frames for net in NETS] == [4096, 1024]


def test_the_reference_does_the_gemms_of_a_product_and_no_more() -> None:
    problem = Problem(SMALL, CPU, torch.float32)
    product = METHODS["r_operator"](problem, Precision.FP32)
    reference = product_gemms(SMALL, CPU, torch.float32)
    assert flops_of(reference) == flops_of(product) == SMALL.product_flops


def test_the_flops_of_a_gradient() -> None:
    problem = Problem(SMALL, CPU, torch.float32)
    assert flops_of(METHODS["gradient"](problem, Precision.FP32)) == SMALL.gradient_flops


@pytest.mark.parametrize("name", [name for name in METHODS if name != "gradient"])
def test_each_method_computes_the_dense_gauss_newton_product(name: str) -> None:
    needs_peer(name)
    problem = Problem(SMALL, CPU, torch.float64)
    names = [key for key, _ in problem.model.named_parameters()]

    def logits(*parameters: torch.Tensor) -> torch.Tensor:
        values = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(problem.model, values, (problem.inputs,))

    given = tuple(p.detach() for p in problem.parameters)
    blocks = torch.autograd.functional.jacobian(logits, given)
    jacobian = torch.cat([b.reshape(SMALL.frames, SMALL.sizes[-1], -1) for b in blocks], dim=2)
    p = torch.softmax(logits(*given), dim=1)
    hessian = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    expected = torch.einsum("fci,fcd,fdj,j->i", jacobian, hessian, jacobian, problem.vector)
    found = flat(METHODS[name](problem, Precision.FP32)())
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_a_wrong_product_stops_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(problem: Problem, precision: Precision) -> object:
        right = METHODS["r_operator"](problem, precision)
        return lambda: 1.001 * right()  # type: ignore[operator]

    monkeypatch.setattr("benchmarks.products.methods_in", lambda _: {"wrong": wrong})
    with pytest.raises(RunError, match="wrong"):
        differences(Problem(SMALL, CPU, torch.float64), Precision.FP32, 1e-10)


def test_peers_are_left_out_of_bfloat16_only() -> None:
    assert set(methods_in(Precision.TF32)) == set(METHODS)
    assert set(methods_in(Precision.BF16)) == {"gradient", "r_operator", "double_backward"}


def test_two_loop_recursion_is_the_bfgs_inverse_update() -> None:
    random = torch.Generator().manual_seed(0)
    steps = torch.randn(4, 6, generator=random, dtype=torch.float64)
    root = torch.randn(6, 6, generator=random, dtype=torch.float64)
    changes = steps @ (root @ root.T + torch.eye(6, dtype=torch.float64))
    inverse = torch.eye(6, dtype=torch.float64) * (
        steps[-1] @ changes[-1] / (changes[-1] @ changes[-1])
    )
    for s, y in zip(steps, changes, strict=True):
        left = torch.eye(6, dtype=torch.float64) - torch.outer(s, y) / (s @ y)
        inverse = left @ inverse @ left.T + torch.outer(s, s) / (s @ y)
    residual = torch.randn(6, generator=random, dtype=torch.float64)
    two_loop = TwoLoop(list(steps), list(changes))
    found = two_loop.apply(residual, torch.empty_like(residual))
    torch.testing.assert_close(found, inverse @ residual, rtol=1e-9, atol=1e-12)


def test_pairs_have_positive_curvature_and_both_forms_agree_on_them() -> None:
    pairs = make_pairs(64, 500, CPU, torch.float64)
    assert bool(((pairs[:64] * pairs[64:]).sum(1) > 0).all())
    assert difference(64, CPU) < 1e-10


def test_bars_take_the_side_they_are_on() -> None:
    seconds = {"gradient": 1.0, "r_operator": 1.3, "double_backward": 1.5, "square": 1.0}
    seconds |= {"jvp_vjp": 2.0, "curvlinops": 1.9, "backpack": 2.6, "linearize": 1.4}
    net = summarise(SMALL, Rounds([Round(seconds, (1.2, 1.2))]), SMALL.product_flops)
    for method in net["methods"].values():
        method["peak_bytes"] = 100
    net["methods"]["backpack"]["peak_bytes"] = 90
    net |= {"lbfgs": {"pairs": 64}, "lbfgs_compact_speedup": 2.0, "overhead_fraction": 0.06}
    missed = {bar.what for bar in cpu_bars(net) if not bar.met}
    assert missed == {
        "any-module path over DNN path",
        "faster than curvlinops",
        "memory over that of backpack",
        "overhead of an iteration",
    }
    assert net["square_gemm_fraction"] == pytest.approx(1 / 1.3)
