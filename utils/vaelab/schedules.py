"""What changes during training, as functions of the step: the learning rate and the weight of the KL."""

from __future__ import annotations

import math

__all__ = ["ANNEALINGS", "SCHEDULES", "kl_weight", "learning_rate"]

SCHEDULES = ("constant", "step", "cosine")
ANNEALINGS = ("none", "linear", "cyclical")

WARM_UP = 0.05  # of all steps
LAST = 0.01  # of the learning rate
CYCLES = 4


def learning_rate(step: int, total: int, schedule: str = "constant") -> float:
    """The factor on the learning rate at a step, in (0, 1].

    "constant" is 1. "step" halves it after each third of the run. "cosine" rises linearly over the first 5 % of the
    steps, then falls along half a cosine to 1 % (Loshchilov and Hutter, 2017, equation 5, without restarts).

    Arguments:
        step: The step, from 0.
        total: All steps of the run.
        schedule: One of :data:`SCHEDULES`.

    Raises:
        ValueError: If there is no such schedule.
    """
    if schedule == "constant":
        return 1.0
    if schedule == "step":
        return 0.5 ** (3 * step // total)
    if schedule == "cosine":
        warm_up = max(1, round(WARM_UP * total))
        if step < warm_up:
            return (step + 1) / warm_up
        progress = (step + 1 - warm_up) / max(1, total - warm_up)
        return LAST + (1 - LAST) * 0.5 * (1 + math.cos(math.pi * progress))
    raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, got {schedule!r}")


def kl_weight(step: int, total: int, annealing: str = "none") -> float:
    """The factor on the KL's weight at a step, in [0, 1].

    "none" is 1. "linear" rises from 0 over the first half of the run (Bowman et al., 2016). "cyclical" rises from 0
    over the first half of each of four cycles (Fu et al., 2019).

    Arguments:
        step: The step, from 0.
        total: All steps of the run.
        annealing: One of :data:`ANNEALINGS`.

    Raises:
        ValueError: If there is no such annealing.
    """
    if annealing == "none":
        return 1.0
    if annealing in ("linear", "cyclical"):
        cycles = CYCLES if annealing == "cyclical" else 1
        return min(1.0, 2 * (step * cycles / total % 1.0)) if step < total else 1.0
    raise ValueError(f"annealing must be one of {', '.join(ANNEALINGS)}, got {annealing!r}")
