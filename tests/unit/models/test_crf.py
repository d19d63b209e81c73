"""The conditional random field against sums over all sequences of tags."""

from __future__ import annotations

import math
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
import torch

from textmill.models.crf import LinearChainCRF
from textmill.tasks.token_classification import Chain, best_path, marginals

TAGS = 3


@pytest.fixture
def crf() -> LinearChainCRF:
    """A field with random scores."""
    field = LinearChainCRF(TAGS).double()
    torch.manual_seed(0)
    for parameter in field.parameters():
        torch.nn.init.normal_(parameter)
    return field.requires_grad_(False)


def brute(crf: LinearChainCRF, emissions: torch.Tensor) -> dict[tuple[int, ...], float]:
    """s(y) of every sequence y for the emissions (length, tags) of one sequence."""
    start, transition, end = (p.detach().numpy() for p in (crf.start, crf.transition, crf.end))
    scores = {}
    for tags in product(range(TAGS), repeat=len(emissions)):
        total = start[tags[0]] + end[tags[-1]] + sum(float(emissions[t, tag]) for t, tag in enumerate(tags))
        total += sum(transition[a, b] for a, b in pairwise(tags))
        scores[tags] = float(total)
    return scores


@pytest.mark.parametrize("length", [1, 2, 4])
def test_the_loss_is_that_of_all_sequences(crf: LinearChainCRF, length: int) -> None:
    emissions = torch.randn(1, length, TAGS, dtype=torch.double)
    labels = torch.randint(TAGS, (1, length))
    scores = brute(crf, emissions[0])
    expected = np.logaddexp.reduce(list(scores.values())) - scores[tuple(labels[0].tolist())]
    assert float(crf(emissions, labels)) == pytest.approx(expected / length)


def test_log_odds_of_a_tag_are_over_all_sequences(crf: LinearChainCRF) -> None:
    emissions = torch.randn(1, 4, TAGS, dtype=torch.double, requires_grad=True)
    scores = {path: math.exp(score) for path, score in brute(crf, emissions[0].detach()).items()}
    for place, tag in ((0, 1), (2, 0), (3, 2)):
        having = sum(score for path, score in scores.items() if path[place] == tag)
        odds = crf.log_odds(emissions, place, tag)
        assert odds.item() == pytest.approx(math.log(having / (sum(scores.values()) - having)), abs=1e-4)
        assert torch.autograd.grad(odds.sum(), emissions)[0].isfinite().all()


def test_the_chain_skips_what_has_no_label(crf: LinearChainCRF) -> None:
    emissions = torch.randn(2, 5, TAGS, dtype=torch.double)
    labels = torch.tensor([[-100, 1, -100, 2, 0], [-100, 2, -100, -100, -100]])
    total = 0.0
    for row, keep in ((0, [1, 3, 4]), (1, [1])):
        scores = brute(crf, emissions[row, keep])
        total += np.logaddexp.reduce(list(scores.values())) - scores[tuple(labels[row, keep].tolist())]
    assert float(crf(emissions, labels)) == pytest.approx(total / 4)
    assert float(crf(emissions, torch.full((2, 5), -100))) == 0


def test_gradients_are_right(crf: LinearChainCRF) -> None:
    emissions = torch.randn(2, 3, TAGS, dtype=torch.double, requires_grad=True)
    labels = torch.tensor([[0, -100, 2], [1, 1, 0]])
    assert torch.autograd.gradcheck(lambda x: crf(x, labels), (emissions,))


def test_viterbi_finds_the_best_and_marginals_sum_over_all(crf: LinearChainCRF) -> None:
    chain = Chain(*(p.detach().numpy() for p in (crf.start, crf.transition, crf.end)))
    for seed in range(5):
        emissions = torch.randn(4, TAGS, dtype=torch.double, generator=torch.Generator().manual_seed(seed))
        scores = brute(crf, emissions)
        found = best_path(emissions.numpy(), ["O", "B-a", "B-b"], chain)
        assert tuple(found) == max(scores, key=scores.__getitem__)
        lawful = {y: s for y, s in scores.items() if all(b != 2 or a for a, b in pairwise((0, *y)))}
        found = best_path(emissions.numpy(), ["O", "B-a", "I-a"], chain)
        assert tuple(found) == max(lawful, key=lawful.__getitem__)
        odds, total = marginals(emissions.numpy(), chain), np.logaddexp.reduce(list(scores.values()))
        for t, tag in product(range(4), range(TAGS)):
            expected = sum(np.exp(s - total) for y, s in scores.items() if y[t] == tag)
            assert odds[t, tag] == pytest.approx(expected)


def test_it_is_saved_with_the_model_and_begins_as_nothing(tmp_path: Any) -> None:
    import transformers

    from textmill.models import build
    from textmill.models.configuration import EncoderConfig

    shape = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    shape |= {"num_key_value_heads": 2, "intermediate_size": 16}
    bare = build("encoder", "masked_lm", EncoderConfig(**shape), seed=0)
    bare.save_pretrained(tmp_path / "bare")
    auto = transformers.AutoModelForTokenClassification
    model: Any = auto.from_pretrained(tmp_path / "bare", crf=True, num_labels=TAGS)
    assert all(not p.any() for p in model.crf.parameters())
    torch.nn.init.normal_(model.crf.transition)
    model.save_pretrained(tmp_path / "taught")
    again: Any = auto.from_pretrained(tmp_path / "taught")
    torch.testing.assert_close(again.crf.transition, model.crf.transition)
    assert not [path for path in (tmp_path / "taught").iterdir() if path.suffix in (".bin", ".pt", ".pkl")]
    assert auto.from_pretrained(tmp_path / "bare", num_labels=TAGS).crf is None
