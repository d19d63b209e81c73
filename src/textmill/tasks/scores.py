"""Metrics as functions of sums over examples, so that intervals and comparisons come by resampling.

Every metric here, from accuracy to BLEU, is computed from a row of counts an example: the rows of a test
set are added up and the metric is taken of the sums. A bootstrap then is one matrix product.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from textmill.words import answer_tokens, has_han, words

_DIRECTED = re.compile(r"(.+)\((?:e1,e2|e2,e1)\)")

Span = tuple[int, int, str]
Metrics = dict[str, np.ndarray]


@dataclass(frozen=True)
class Scores:
    """``rows`` (examples, columns) of counts, and ``metrics``: sums (..., columns) -> {name: (...)}."""

    rows: np.ndarray
    metrics: Callable[[np.ndarray], Metrics]

    def values(self) -> dict[str, float]:
        """The metrics of the whole test set."""
        return {name: float(value) for name, value in self.metrics(self.rows.sum(axis=0)).items()}

    def subset(self, chosen: np.ndarray) -> Scores:
        """The same metrics on a part of the examples: indices or a mask."""
        return Scores(self.rows[chosen], self.metrics)


def join(parts: Sequence[Scores]) -> Scores:
    """Several kinds of scores of the same examples as one."""
    edges = np.cumsum([0] + [part.rows.shape[1] for part in parts])

    def metrics(sums: np.ndarray) -> Metrics:
        """Those of all parts, each from its own columns."""
        found: Metrics = {}
        for part, start, end in zip(parts, edges[:-1], edges[1:], strict=True):
            found |= part.metrics(sums[..., start:end])
        return found

    return Scores(np.concatenate([part.rows for part in parts], axis=1), metrics)


def renamed(part: Scores, prefix: str) -> Scores:
    """The same scores with ``prefix`` before their names."""
    return Scores(part.rows, lambda sums: {f"{prefix}{name}": v for name, v in part.metrics(sums).items()})


def means(values: Mapping[str, Sequence[float]]) -> Scores:
    """Metrics that are means over examples."""
    names = list(values)
    columns = [np.ones(len(values[names[0]]))] + [np.asarray(values[name], dtype=float) for name in names]

    def metrics(sums: np.ndarray) -> Metrics:
        """From [examples, a column a metric]."""
        return {name: _ratio(sums[..., i + 1], sums[..., 0]) for i, name in enumerate(names)}

    return Scores(np.stack(columns, axis=1), metrics)


def classification(gold: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> Scores:
    """Accuracy and macro-F1 (mean of the labels' F1, over labels that occur in gold or prediction)."""
    index = {label: i for i, label in enumerate(labels)}
    size = len(labels)
    rows = np.zeros((len(gold), 1 + 3 * size))
    at = np.arange(len(gold))
    truth = np.array([index[label] for label in gold], dtype=int)
    guess = np.array([index[label] for label in predicted], dtype=int)
    rows[:, 0] = 1
    rows[at, 1 + truth] = truth == guess
    rows[at, 1 + size + truth] = 1
    rows[at, 1 + 2 * size + guess] = 1

    def metrics(sums: np.ndarray) -> Metrics:
        """From [examples, hits, true, guessed], the last three a column a label."""
        hits, truths, guesses = (sums[..., 1 + i * size : 1 + (i + 1) * size] for i in range(3))
        f1 = _ratio(2 * hits, truths + guesses)
        present = (truths + guesses) > 0
        macro = _ratio((f1 * present).sum(-1), present.sum(-1))
        return {"accuracy": _ratio(hits.sum(-1), sums[..., 0]), "macro_f1": macro}

    return Scores(rows, metrics)


def scope(gold: Sequence[str], predicted: Sequence[str], outside: str) -> Scores:
    """Accuracy on examples in scope, and recall of those out of scope (Larson et al. 2019)."""
    within = np.array([label != outside for label in gold], dtype=float)
    right = np.array([a == b for a, b in zip(gold, predicted, strict=True)], dtype=float)
    rows = np.stack([within, within * right, 1 - within, (1 - within) * right], axis=1)

    def metrics(sums: np.ndarray) -> Metrics:
        """From [in scope, of them right, out of scope, of them right]."""
        return {
            "in_scope_accuracy": _ratio(sums[..., 1], sums[..., 0]),
            "out_of_scope_recall": _ratio(sums[..., 3], sums[..., 2]),
        }

    return Scores(rows, metrics)


def undirected(label: str) -> str | None:
    """The relation of a label with a direction, ``Cause-Effect(e1,e2)``; None for a label without one."""
    found = _DIRECTED.fullmatch(label)
    return found and found[1]


def directed(gold: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> Scores:
    """The official score of SemEval-2010 Task 8 (Hendrickx et al. 2010, section 4): ``directed_macro_f1``.

    The mean F1 of the relations, each counted over both of its directions; an answer of the right relation
    in the wrong direction is a wrong answer. Labels without a direction (Other) have no F1 of their own, nor
    have relations that a part of the examples lacks.
    """
    relations = sorted({relation for label in labels if (relation := undirected(label))})
    index = {relation: i for i, relation in enumerate(relations)}
    size = len(relations)
    rows = np.zeros((len(gold), 3 * size))
    for row, truth, guess in zip(rows, gold, predicted, strict=True):
        for place, relation in enumerate((undirected(truth), undirected(guess)), 1):
            if relation is not None:
                row[place * size + index[relation]] = 1
                row[index[relation]] = truth == guess

    def metrics(sums: np.ndarray) -> Metrics:
        """From [hits, true, guessed], a column a relation each."""
        hits, truths, guesses = (sums[..., i * size : (i + 1) * size] for i in range(3))
        f1, present = _ratio(2 * hits, truths + guesses), (truths + guesses) > 0
        return {"directed_macro_f1": _ratio(f1.sum(-1), present.sum(-1))}

    return Scores(rows, metrics)


def confusion(gold: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    """Counts (labels, labels): row the gold label, column the predicted one."""
    index = {label: i for i, label in enumerate(labels)}
    matrix = np.zeros((len(labels), len(labels)), dtype=int)
    np.add.at(matrix, ([index[label] for label in gold], [index[label] for label in predicted]), 1)
    return matrix


def multi_label(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], labels: Sequence[str]
) -> Scores:
    """Exact match of the label sets (accuracy), micro-F1 and macro-F1 over the labels."""
    size = len(labels)
    truth = np.array([[label in row for label in labels] for row in gold], dtype=float).reshape(-1, size)
    guess = np.array([[label in row for label in labels] for row in predicted], dtype=float).reshape(-1, size)
    exact = (truth == guess).all(axis=1)
    rows = np.concatenate([np.ones((len(gold), 1)), exact[:, None], truth * guess, truth, guess], axis=1)

    def metrics(sums: np.ndarray) -> Metrics:
        """From [examples, exact, hits, true, guessed], the last three a column a label."""
        hits, truths, guesses = (sums[..., 2 + i * size : 2 + (i + 1) * size] for i in range(3))
        present = (truths + guesses) > 0
        f1 = _ratio(2 * hits, truths + guesses)
        return {
            "accuracy": _ratio(sums[..., 1], sums[..., 0]),
            "micro_f1": _ratio(2 * hits.sum(-1), (truths + guesses).sum(-1)),
            "macro_f1": _ratio((f1 * present).sum(-1), present.sum(-1)),
        }

    return Scores(rows, metrics)


def regression(gold: Sequence[float], predicted: Sequence[float]) -> Scores:
    """Pearson's correlation and the root of the mean squared error."""
    x, y = np.asarray(gold, dtype=float), np.asarray(predicted, dtype=float)
    x, y = x - x.mean(), y - x.mean()  # moments of large numbers would cancel
    rows = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)

    def metrics(sums: np.ndarray) -> Metrics:
        """From the moments [n, x, y, xx, yy, xy], x the truth."""
        n, sx, sy, sxx, syy, sxy = np.moveaxis(sums, -1, 0)
        covariance = n * sxy - sx * sy
        spread = np.sqrt(np.maximum(n * sxx - sx**2, 0) * np.maximum(n * syy - sy**2, 0))
        error = np.sqrt(np.maximum(_ratio(sxx + syy - 2 * sxy, n), 0))
        return {"pearson": _ratio(covariance, spread), "rmse": error}

    return Scores(rows, metrics)


def spans(gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]]) -> Scores:
    """Micro-averaged F1, precision and recall of labelled spans: right where span and label agree."""
    counts = [
        (len(set(truth) & set(guess)), len(set(truth)), len(set(guess)))
        for truth, guess in zip(gold, predicted, strict=True)
    ]
    rows = np.array(counts, dtype=float).reshape(-1, 3)

    def metrics(sums: np.ndarray) -> Metrics:
        """From [hits, true, guessed]."""
        hits, truths, guesses = np.moveaxis(sums, -1, 0)
        return {
            "f1": _ratio(2 * hits, truths + guesses),
            "precision": _ratio(hits, guesses),
            "recall": _ratio(hits, truths),
        }

    return Scores(rows, metrics)


def exact_match(answer: str, truths: Sequence[str]) -> float:
    """1 where the answer equals one of the true ones, after normalisation."""
    pairs = (_tokens(answer, truth) for truth in truths)
    return float(any(tokens == wanted for tokens, wanted, _ in pairs))


def token_f1(answer: str, truths: Sequence[str]) -> float:
    """The best F1 of the answer's tokens against one of the true answers.

    Tokens in common are counted as a bag (Rajpurkar et al. 2016, section 6.1); where either has Chinese
    characters, as the longest run in common (Cui et al. 2019, the script of CMRC 2018).
    """
    best = 0.0
    for truth in truths:
        tokens, wanted, chinese = _tokens(answer, truth)
        if not tokens or not wanted:
            best = max(best, float(tokens == wanted))
            continue
        if chinese:
            common = _longest_run(tokens, wanted)
        else:
            common = sum((Counter(tokens) & Counter(wanted)).values())
        best = max(best, 2 * common / (len(tokens) + len(wanted)))
    return best


def _tokens(answer: str, truth: str) -> tuple[list[str], list[str], bool]:
    """The tokens of both, and whether they are cut as Chinese: of 2005 and 2005年, both are."""
    chinese = has_han(answer + truth)
    return answer_tokens(answer, chinese), answer_tokens(truth, chinese), chinese


def rouge(gold: Sequence[str], predicted: Sequence[str]) -> Scores:
    """ROUGE-1, ROUGE-2 and ROUGE-L F1 (Lin 2004), Chinese counted by character; no stemming."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=_Words())
    found = [scorer.score(truth, guess) for truth, guess in zip(gold, predicted, strict=True)]
    names = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL"}
    return means({name: [row[key].fmeasure for row in found] for name, key in names.items()})


def bleu(gold: Sequence[str], predicted: Sequence[str], chinese: bool) -> Scores:
    """Corpus BLEU in 0..100 (Papineni et al. 2002), sacrebleu's counts, tokenizer and smoothing."""
    rows = np.array(_bleu(chinese)._extract_corpus_statistics(list(predicted), [list(gold)]), dtype=float)

    def metrics(sums: np.ndarray) -> Metrics:
        """From [tokens written, tokens of the truth, four orders' matches, their totals]."""
        ours, theirs = sums[..., 0], sums[..., 1]
        correct, total = sums[..., 2:6], sums[..., 6:10]
        # An order without a match gets half, then a quarter ... of one match ("exp" smoothing).
        missing = (correct == 0) & (total > 0)
        smoothed = np.where(missing, 0.5 ** np.cumsum(missing, axis=-1), correct)
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(np.where(total > 0, smoothed / total, 0.0)).mean(axis=-1)
            brevity = np.where(ours < theirs, np.exp(1 - theirs / ours), 1.0)
            score = 100 * brevity * np.exp(logs)
        return {"bleu": np.where(correct.sum(-1) > 0, score, 0.0)}

    return Scores(rows, metrics)


def chrf(gold: Sequence[str], predicted: Sequence[str]) -> Scores:
    """Corpus chrF in 0..100 (Popovic 2015), sacrebleu's counts: n-grams to 6, recall weighs twice."""
    from sacrebleu.metrics import CHRF

    rows = np.array(CHRF()._extract_corpus_statistics(list(predicted), [list(gold)]), dtype=float)

    def metrics(sums: np.ndarray) -> Metrics:
        """From [written, true, matches] for each order of n-grams."""
        ours, theirs, match = (sums[..., i::3] for i in range(3))
        counted = (ours > 0) & (theirs > 0)
        orders = counted.sum(-1)
        precision = _ratio((_ratio(match, ours) * counted).sum(-1), orders)
        recall = _ratio((_ratio(match, theirs) * counted).sum(-1), orders)
        return {"chrf": 100 * _ratio(5 * precision * recall, 4 * precision + recall)}

    return Scores(rows, metrics)


def generation(gold: Sequence[str], predicted: Sequence[str], chinese: bool) -> Scores:
    """BLEU and chrF in 0..100, ROUGE in 0..1 and exact match of generated texts."""
    same = [float(a.strip() == b.strip()) for a, b in zip(gold, predicted, strict=True)]
    parts = [bleu(gold, predicted, chinese), chrf(gold, predicted), rouge(gold, predicted)]
    return join([*parts, means({"exact_match": same})])


def signatures(chinese: bool) -> dict[str, str]:
    """How the scores of generated text were computed, as sacrebleu writes it."""
    from sacrebleu.metrics import CHRF

    metrics: dict[str, Any] = {"bleu": _bleu(chinese), "chrf": CHRF()}
    for metric in metrics.values():
        metric.corpus_score(["a"], [["a"]])
    return {name: str(metric.get_signature()) for name, metric in metrics.items()}


def _bleu(chinese: bool) -> Any:
    from sacrebleu.metrics import BLEU

    return BLEU(tokenize="zh" if chinese else "13a", force=True)


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a / b, and 0 where b is 0."""
    return np.divide(a, b, out=np.zeros(np.broadcast(a, b).shape), where=np.asarray(b) != 0)


def _longest_run(a: Sequence[str], b: Sequence[str]) -> int:
    """The length of the longest run of tokens that both have."""
    best = 0
    before = [0] * (len(b) + 1)
    for token in a:
        row = [0] * (len(b) + 1)
        for j, other in enumerate(b):
            if token == other:
                row[j + 1] = before[j] + 1
                best = max(best, row[j + 1])
        before = row
    return best


class _Words:
    """What rouge_score asks of a tokenizer."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)
