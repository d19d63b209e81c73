"""task_data: a task's labelled examples, read, checked row by row, in train, dev and test."""

from textmill.records import write_json
from textmill.stage import Stage, run_data_stage


def prepare(stage: Stage) -> None:
    from textmill.tasks.readers import prepare

    assert stage.item
    task = stage.params.tasks[stage.item]
    stage.log_params({"family": task.family, "labels": task.labels, "data": task.data.model_dump()})
    folder = stage.output(f"data/tasks/{stage.item}")
    stage.metrics |= prepare(stage.params, stage.item, folder)
    # The checks read the task's terms from its data, so that they hang on nothing else of its block.
    write_json(folder / "task.json", task.model_dump(include={"family", "labels", "languages"}))


if __name__ == "__main__":
    run_data_stage("task_data", prepare)
