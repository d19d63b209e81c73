"""How far a training is: one line that is written anew in a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time

WIDTH = 24  # characters of the bar
EVERY = 0.5  # seconds between two versions of the line in a terminal
LINES = 10  # plain lines a training


class Progress:
    """Written to the standard error output; called at logging intervals only."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty() and not os.environ.get("CI")
        self.total: int | None = None
        self.minutes: float | None = None
        self.last = 0.0
        self.written = 0

    def start(self, total: int | None, minutes: float | None, first: int) -> None:
        """A training of ``total`` steps, or of ``minutes``, that begins after step ``first``."""
        self.total, self.minutes = total, minutes
        if first:
            print(f"going on after step {first}", file=sys.stderr)

    def share(self, step: int, elapsed: float) -> float:
        """How much of the budget is used."""
        whole = step / self.total if self.total else elapsed / (60 * (self.minutes or 1))
        return min(whole, 1.0)

    def show(self, step: int, elapsed: float, loss: float, rate: float) -> None:
        """Say where the training is, if it is time to; ``elapsed`` seconds are those of all its steps."""
        share = self.share(step, elapsed)
        now = time.monotonic()
        if now - self.last < EVERY if self.live else share * LINES < self.written + 1:
            return
        self.last, self.written = now, int(share * LINES)
        left = elapsed * (1 - share) / max(share, 1e-9)
        text = (
            f"step {step}{f'/{self.total}' if self.total else ''}  loss {loss:.3f}  {rate:,.0f} tokens/s  "
            f"{_clock(left)} left"
        )
        if self.live:
            bar = ("█" * round(share * WIDTH)).ljust(WIDTH, "░")
            print(f"\r\033[K{bar} {share:4.0%}  {text}", end="", file=sys.stderr, flush=True)
        else:
            print(f"{share:4.0%}  {text}", file=sys.stderr, flush=True)

    def note(self, step: int, metrics: dict[str, float]) -> None:
        """The scores of a validation, on a line of their own."""
        text = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        start = "\r\033[K" if self.live else ""
        print(f"{start}step {step}  {text}", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the line."""
        if self.live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
