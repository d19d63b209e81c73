"""evaluate: the test split's predictions, their scores with intervals, and the baselines beside them."""

from textmill.records import read_json
from textmill.stage import Stage, run_stage


def work(stage: Stage) -> None:
    from textmill.evaluation import evaluate

    assert stage.item
    task = stage.params.tasks[stage.item]
    stage.log_params({"family": task.family, "model": task.model})
    output = stage.output(f"data/predictions/{stage.item}")
    metrics, figures = evaluate(
        stage.params,
        stage.item,
        stage.input(f"data/tasks/{stage.item}"),
        stage.input(f"models/finetuned/{stage.item}"),
        output,
    )
    stage.metrics |= metrics
    stage.log_figures(figures)
    scores = read_json(output / "scores.json")
    for name in ("slices", "behaviour"):
        if scores.get(name):
            columns = [key for key in scores[name][0] if key != "failing"]
            stage.run.log_table(name, {key: [row[key] for row in scores[name]] for key in columns})
    stage.run.log_artifact(output / "scores.json")
    stage.run.log_artifact(output / "predictions.jsonl")


if __name__ == "__main__":
    run_stage("evaluate", work)
