"""Figures as people read them."""

from __future__ import annotations

METRICS = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "directed_macro_f1": "macro-F1 with directions",
    "micro_f1": "micro-F1",
    "f1": "F1",
    "exact_match": "exact match",
    "precision": "precision",
    "recall": "recall",
    "rouge_1": "ROUGE-1",
    "rouge_2": "ROUGE-2",
    "rouge_l": "ROUGE-L",
    "bleu": "BLEU",
    "chrf": "chrF",
    "pearson": "Pearson's r",
    "rmse": "RMSE",
}
# Metrics that run from 0 to 100 by themselves; those of RAW are shown as they are.
HUNDREDS = ("bleu", "chrf")
RAW = ("rmse", "pearson")


def metric_name(key: str) -> str:
    """The metric's usual name."""
    return METRICS.get(key, key.replace("_", " "))


def scaled(value: float, metric: str) -> float:
    """The value on the scale from 0 to 100 that the page shows, or as it is for metrics without one."""
    return value if metric in HUNDREDS or metric in RAW else 100 * value


def number(value: float, metric: str, sign: bool = False) -> str:
    """The value on the page's scale with one decimal (three for metrics without that scale).

    Rounded as ``textmill results`` does, to three decimals from 0 to 1, lest 0.777 there be 77.8 here.
    """
    digits = 3 if metric in RAW else 1
    text = f"{scaled(round(value, 3), metric):{'+' if sign else ''}.{digits}f}"
    return text.replace("-", "\u2212")


def count(value: float) -> str:
    """A whole number with thin groups: 1,234; from a million upwards 1.23 M."""
    for size, unit in ((1e9, "G"), (1e6, "M")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{round(value):,}"


def percent(share: float) -> str:
    """A share of one as per cent; small ones keep a digit that says something."""
    value = 100 * share
    return f"{value:.1f} %" if value >= 0.1 or value == 0 else f"{value:.2g} %"


def duration(seconds: float) -> str:
    """Seconds below two minutes, minutes above."""
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def plain(name: str) -> str:
    """A key of params.yaml as words."""
    return name.replace("_", " ")
