"""Our vectorised metrics against the field's own libraries."""

from __future__ import annotations

import numpy as np
import pytest
import sacrebleu
from seqeval.metrics import f1_score, precision_score, recall_score
from sklearn.metrics import accuracy_score
from sklearn.metrics import f1_score as sklearn_f1

from textmill.tasks import scores
from textmill.tasks.readers.tags import spans_to_tags

GOLD = ["the cat sat on the mat .", "a dog ran away", "韦玛在乌尔门工作。", "short", "nothing here at all"]
GUESS = ["the cat is on the mat .", "a dog ran ran off", "韦玛在工作。", "", "short words only then"]


def test_classification_equals_scikit_learn() -> None:
    draw = np.random.default_rng(1)
    labels = ["a", "b", "c", "never"]
    gold, guess = (list(draw.choice(labels[:3], 200)) for _ in range(2))
    found = scores.classification(gold, guess, labels).values()
    assert found["accuracy"] == pytest.approx(accuracy_score(gold, guess))
    assert found["macro_f1"] == pytest.approx(sklearn_f1(gold, guess, average="macro"))


def test_a_part_without_some_relations_is_not_scored_for_them() -> None:
    labels = ["Other", *(f"R{i}({ends})" for i in range(9) for ends in ("e1,e2", "e2,e1"))]
    whole = scores.directed(labels, labels, labels)
    assert whole.values()["directed_macro_f1"] == 1
    assert whole.subset(np.arange(4)).values()["directed_macro_f1"] == 1


def test_the_official_f1_of_semeval_counts_a_relation_over_both_directions() -> None:
    labels = ["Other", "A(e1,e2)", "A(e2,e1)", "B(e1,e2)", "B(e2,e1)"]
    gold = ["A(e1,e2)", "A(e1,e2)", "A(e2,e1)", "B(e1,e2)", "Other", "Other"]
    guess = ["A(e1,e2)", "A(e2,e1)", "Other", "B(e1,e2)", "B(e1,e2)", "Other"]
    # A: 3 of the gold, 2 answered, 1 right (the other the wrong way round): P 1/2, R 1/3, F1 0.4.
    # B: 1 of the gold, 2 answered, 1 right: F1 2/3. Other is no relation.
    found = scores.directed(gold, guess, labels).values()
    assert found == {"directed_macro_f1": pytest.approx((0.4 + 2 / 3) / 2)}


def test_multi_label_equals_scikit_learn() -> None:
    draw = np.random.default_rng(2)
    labels = ["a", "b", "c"]
    truth, guess = (draw.random((50, 3)) < 0.4 for _ in range(2))
    gold, predicted = (
        [[name for name, on in zip(labels, row, strict=True) if on] for row in m] for m in (truth, guess)
    )
    found = scores.multi_label(gold, predicted, labels).values()
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, guess))
    assert found["micro_f1"] == pytest.approx(sklearn_f1(truth, guess, average="micro"))
    assert found["macro_f1"] == pytest.approx(sklearn_f1(truth, guess, average="macro"))


def test_regression_equals_numpy() -> None:
    draw = np.random.default_rng(3)
    x = draw.normal(size=60)
    y = x + draw.normal(size=60)
    found = scores.regression(x.tolist(), y.tolist()).values()
    assert found["pearson"] == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((x - y) ** 2)))


def test_spans_equal_seqeval() -> None:
    draw = np.random.default_rng(4)

    def some() -> list[scores.Span]:
        edges = sorted(draw.choice(20, size=6, replace=False).tolist())
        return [(a, b, str(draw.choice(["x", "y"]))) for a, b in zip(edges[::2], edges[1::2], strict=True)]

    gold = [some() for _ in range(40)]
    guess = [row if i % 2 else some() for i, row in enumerate(gold)]
    found = scores.spans(gold, guess).values()

    def tags(rows: list[list[scores.Span]]) -> list[list[str]]:
        as_dicts = [[{"start": a, "end": b, "label": label} for a, b, label in row] for row in rows]
        return [spans_to_tags(20, row) for row in as_dicts]

    assert found["f1"] == pytest.approx(f1_score(tags(gold), tags(guess)))
    assert found["precision"] == pytest.approx(precision_score(tags(gold), tags(guess)))
    assert found["recall"] == pytest.approx(recall_score(tags(gold), tags(guess)))


@pytest.mark.parametrize("rows", [slice(0, 5), slice(0, 2), slice(2, 3), slice(3, 4)])
@pytest.mark.parametrize("chinese", [False, True])
def test_bleu_and_chrf_equal_sacrebleu(rows: slice, chinese: bool) -> None:
    gold, guess = GOLD[rows], GUESS[rows]
    tokenize = "zh" if chinese else "13a"
    expected = sacrebleu.corpus_bleu(guess, [gold], tokenize=tokenize).score
    assert scores.bleu(gold, guess, chinese).values()["bleu"] == pytest.approx(expected)
    assert scores.chrf(gold, guess).values()["chrf"] == pytest.approx(
        sacrebleu.corpus_chrf(guess, [gold]).score
    )


def test_the_signature_names_the_tokenizer() -> None:
    assert "tok:zh" in scores.signatures(True)["bleu"]
    assert "tok:13a" in scores.signatures(False)["bleu"]


def test_rouge_equals_rouge_score_in_english_and_counts_characters_in_chinese() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    gold, guess = GOLD[:2], GUESS[:2]
    found = scores.rouge(gold, guess).values()
    expected = [RougeScorer(["rouge2", "rougeL"]).score(a, b) for a, b in zip(gold, guess, strict=True)]
    assert found["rouge_l"] == pytest.approx(np.mean([row["rougeL"].fmeasure for row in expected]))
    assert found["rouge_2"] == pytest.approx(np.mean([row["rouge2"].fmeasure for row in expected]))
    assert scores.rouge(["韦玛在工作"], ["韦玛在休息"]).values()["rouge_1"] == pytest.approx(0.6)


def test_answers_are_scored_as_squad_and_cmrc_do() -> None:
    assert scores.exact_match("The river.", ["a lake", "river"]) == 1
    assert scores.token_f1("near the river", ["the river"]) == pytest.approx(2 / 3)
    # CMRC counts the longest run in common, not the bag: 工作 of 韦玛工作.
    assert scores.token_f1("工作韦玛", ["韦玛工作"]) == pytest.approx(0.5)
    for guess, truth in (("维生素", "维生素A"), ("A股", "股"), ("35米", "3.5米"), ("25℃左右", "25左右")):
        assert scores.exact_match(guess, [truth]) == 0
        assert scores.token_f1(guess, [truth]) < 1
    assert scores.exact_match("《诺比》", ["诺比"]) == 1
    assert scores.token_f1("公司成立于2005年", ["2005"]) == pytest.approx(2 / 8)
    assert scores.token_f1("", [""]) == 1
    assert scores.token_f1("river", [""]) == 0
    assert scores.exact_match("", [""]) == 1


def test_joined_scores_keep_each_part_and_subsets_are_those_of_the_rows() -> None:
    both = scores.join([scores.bleu(GOLD, GUESS, False), scores.means({"length": [len(g) for g in GUESS]})])
    assert both.values()["length"] == pytest.approx(np.mean([len(g) for g in GUESS]))
    part = both.subset(np.array([0, 2])).values()
    assert part["bleu"] == pytest.approx(
        scores.bleu([GOLD[0], GOLD[2]], [GUESS[0], GUESS[2]], False).values()["bleu"]
    )


def test_metrics_of_many_resamples_at_once_are_those_of_each() -> None:
    measured = scores.generation(GOLD, GUESS, True)
    weights = np.array([[1.0, 0, 2, 0, 1], [0, 0, 0, 3, 0]])
    together = measured.metrics(weights @ measured.rows)
    for i, row in enumerate(weights):
        alone = measured.metrics(row @ measured.rows)
        assert {k: float(v[i]) for k, v in together.items()} == pytest.approx(
            {k: float(v) for k, v in alone.items()}
        )
