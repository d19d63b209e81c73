"""The learning rate over the budget."""

from __future__ import annotations

import math

from textmill import params

DECAY = 0.2  # share of the budget over which warm-up-stable-decay falls (Hägele et al. 2024)


def factor(schedule: params.Schedule, progress: float) -> float:
    """The share of the full learning rate at ``progress``, from 0 at the start to 1 at the end of the budget.

    All begin with a linear warm-up over ``schedule.warmup`` of the budget. Then: ``linear`` falls to 0;
    ``cosine`` follows half a wave to 0 (Loshchilov and Hutter 2017, equation 5); ``constant`` stays;
    ``warmup_stable_decay`` stays and falls linearly to 0 over the last fifth (Hu et al. 2024; Hägele et al.
    2024); ``inverse_sqrt`` falls with the square root of the time since the start, in units of the warm-up
    (Vaswani et al. 2017, equation 3).
    """
    warmup = schedule.warmup
    if progress < warmup:
        return progress / warmup
    past = min((progress - warmup) / max(1 - warmup, 1e-9), 1.0)
    match schedule.name:
        case "linear":
            return 1 - past
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * past))
        case "warmup_stable_decay":
            return min((1 - progress) / min(DECAY, 1 - warmup + 1e-9), 1.0) if progress < 1 else 0.0
        case "inverse_sqrt":
            unit = warmup or 0.01
            return math.sqrt(unit / max(progress, unit))
        case _:
            return 1.0
