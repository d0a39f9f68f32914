"""Events of training as lines of the log."""

from __future__ import annotations

from typing import Any


def describe(event: dict[str, Any]) -> str:
    """Return one line for the log about an event."""
    parts = [f"iteration {event['iteration']}"]
    if "heldout_loss" in event:
        parts.append(f"held-out {event['heldout_loss']:.4f}")
    if event.get("train_loss") is not None:
        parts.append(f"train {event['train_loss']:.4f}")
    if "cg_iterations" in event:
        parts.append(f"CG {event['cg_iterations']} ({event['cg_reason']})")
        parts.append(f"λ {event['lambda']:.3g}")
        parts.append(f"step {event['step']:.2g}" if event["accepted"] else "rejected")
    if event.get("learning_rate") is not None:
        parts.append(f"rate {event['learning_rate']:.3g}")
    if event.get("diverged"):
        parts.append("diverged: steps taken back, shorter ones follow")
    return ", ".join([*parts, f"{event['seconds']:.1f} s"])
