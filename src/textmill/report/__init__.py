"""One page of what was trained on what, how good it is, on which data, and at what cost."""

from textmill.report.page import build

__all__ = ["build"]
