"""Scores with intervals, comparison with baselines and between runs, and where a model errs."""

from textmill.evaluation.evaluate import evaluate
from textmill.evaluation.language_model import evaluate_language_model

__all__ = ["evaluate", "evaluate_language_model"]
