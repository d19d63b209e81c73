"""Drawing figures: as SVG, for a reader's fonts have the characters that this machine's may lack."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Text stays text, $ is no mathematics, and the same figure is the same bytes.
_SETTINGS: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "textmill", "text.parse_math": False}
METADATA = {"Date": None}  # what savefig is to write beside the figure


@contextmanager
def drawing() -> Iterator[None]:
    """Within this, as a block or a decorator, figures are made and saved."""
    import matplotlib

    # Matplotlib warns of every character that its own fonts lack, and only measures with these.
    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings(action="ignore", category=UserWarning):
        yield
