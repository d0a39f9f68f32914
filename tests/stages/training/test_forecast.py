from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from asr_hf.hf.pass_cost import PassCost
from asr_hf.stages.training import forecast


@pytest.mark.parametrize(
    ("look_share", "looked"),
    # The work is 3 · 1000 + 4 · 200 · 2 + 400 = 5000.
    [(None, 9000), (0.05, 250), (1.0, 5000), (10.0, 9000)],
)
def test_looks_are_foretold_by_their_share_of_the_work(monkeypatch, look_share, looked):
    costs = []
    monkeypatch.setattr(forecast, "measure_rates", lambda objective, curvature: None)
    monkeypatch.setattr(
        forecast,
        "estimate",
        lambda rates, pass_costs, shares, given: (
            costs.extend(pass_costs) or SimpleNamespace(describe=lambda: "")
        ),
    )
    objective = SimpleNamespace(unit_frames=lambda split: np.array([4000, 5000]))
    passes = [PassCost(1000, 400, 200, (2, 50))]
    optimiser = SimpleNamespace(pass_costs=lambda: passes, seconds_given=None)
    forecast.say_duration(objective, optimiser, 1, look_share)
    assert costs == [PassCost(1000, 400 + looked, 200, (2, 50))]
