"""What each token of an input adds to a number that the model computes from it.

Three answers, none of them the truth alone: integrated gradients and input times gradient look at slopes,
occlusion at what really changes when a token is hidden.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from textmill.models.heads import ngram_places

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Score = Callable[[Any], Tensor]  # a model's output for a batch -> a number a row, (batch,)
BATCH = 32  # inputs at once: bounds the memory


@dataclass(frozen=True)
class Attribution:
    """Of one score, by token: each tuple has one number a token of the input.

    ``value`` and ``baseline_value`` are the score of the input and of the baseline, from which integrated
    gradients start; ``steps`` the points of the path between them that were needed.
    """

    value: float
    baseline_value: float
    integrated_gradients: tuple[float, ...]
    input_times_gradient: tuple[float, ...]
    occlusion: tuple[float, ...]
    steps: int

    @property
    def completeness_error(self) -> float:
        """How far the integrated gradients miss value - baseline_value, to which they have to sum up."""
        return sum(self.integrated_gradients) - (self.value - self.baseline_value)


def attribute(
    model: PreTrainedModel,
    inputs: dict[str, Any],
    baseline: Tensor,
    score: Score,
    *,
    steps: int = 32,
    most_steps: int = 512,
    tolerance: float = 0.01,
) -> Attribution:
    """The attributions of ``score`` to the tokens of ``inputs["input_ids"]``, (1, length).

    ``baseline`` (1, length) holds the ids of an input that says nothing; a token that it shares with the
    input is given 0. Methods: integrated gradients along the straight
    line between the two inputs' embeddings (Sundararajan et al. 2017, equation 1), whose ``steps`` are
    doubled until they sum to the difference of the scores within ``tolerance`` of it or reach
    ``most_steps``; input times gradient (Shrikumar et al. 2017); occlusion, the fall of the score when the
    token is replaced by the baseline's (Zeiler and Fergus 2014).
    """
    from captum.attr import InputXGradient, IntegratedGradients

    others = {key: value for key, value in inputs.items() if key != "input_ids"}
    ids = inputs["input_ids"]
    ngrams: Any = getattr(model, "ngrams", None)
    tables: list[Callable[[Tensor], Tensor]] = [model.get_input_embeddings()]
    if ngrams is not None:
        tables.append(partial(ngrams, padding=inputs.get("attention_mask")))
    with torch.no_grad():
        here, start = (tuple(table(tokens) for table in tables) for tokens in (ids, baseline))

    def forward(embeddings: Tensor, *scores: Tensor) -> Tensor:
        """(batch, length, width) and scores of n-grams -> the score of each row, (batch,)."""
        given = {"ngram_scores": scores[0]} if scores else {}
        return score(model(inputs_embeds=embeddings, **given, **_repeated(others, len(embeddings))))

    def by_token(found: tuple[Tensor, ...]) -> Tensor:
        """Of what each input was given the sums a token, (length,): n-grams' go to what differs in them."""
        total = found[0].sum(dim=-1)[0]
        if ngrams is not None:
            differs = (ids != baseline)[0].tolist()
            shares = found[1].sum(dim=-1)[0]
            for places, share in zip(ngram_places(ngrams.longest, len(differs)), shares, strict=True):
                own = [place for place in places if differs[place]]
                total[own] += share / max(len(own), 1)
        return total

    with torch.no_grad():
        value, baseline_value = (float(forward(*x)) for x in (here, start))
    integrated = IntegratedGradients(forward)
    while True:
        found = integrated.attribute(
            here, start, n_steps=steps, internal_batch_size=BATCH, method="gausslegendre"
        )
        path = by_token(found)
        missed = abs(float(path.sum()) - (value - baseline_value))
        if missed <= tolerance * abs(value - baseline_value) or steps >= most_steps:
            break
        steps *= 2
    slope = by_token(InputXGradient(forward).attribute(tuple(x.clone().requires_grad_() for x in here)))
    slope = slope * (ids != baseline)[0]
    return Attribution(
        value,
        baseline_value,
        tuple(path.tolist()),
        tuple(slope.tolist()),
        tuple(value - hidden for hidden in _occluded(model, ids, baseline, others, score, value)),
        steps,
    )


def _occluded(
    model: PreTrainedModel, ids: Tensor, baseline: Tensor, others: dict[str, Any], score: Score, value: float
) -> list[float]:
    """The score with each token in turn replaced by the baseline's.

    Which tokens match others is read off these ids again: a hidden word is none that the question has too.
    """
    others = {key: value for key, value in others.items() if key != "matched"}
    places = (ids[0] != baseline[0]).nonzero().flatten()
    scores = [value] * ids.shape[1]
    for chunk in places.split(BATCH):
        rows = ids.repeat(len(chunk), 1)
        rows[torch.arange(len(chunk)), chunk] = baseline[0, chunk]
        with torch.no_grad():
            found = score(model(input_ids=rows, **_repeated(others, len(chunk))))
        for place, number in zip(chunk.tolist(), found.tolist(), strict=True):
            scores[place] = number
    return scores


def _repeated(inputs: dict[str, Any], rows: int) -> dict[str, Any]:
    """Inputs of one row for ``rows`` rows."""
    return {k: v.expand(rows, *v.shape[1:]) if isinstance(v, Tensor) else v for k, v in inputs.items()}
