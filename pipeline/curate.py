"""curate: which documents stay, and why each of the others does not; the split."""

from textmill.stage import Stage, run_data_stage


def prepare(stage: Stage) -> None:
    from textmill.corpus import curate

    params = stage.params
    stage.log_params(params.corpus.model_dump(exclude={"sources", "text", "on_bad_input"}))
    documents = stage.input("data/documents")
    tasks = {name: stage.input(f"data/tasks/{name}") for name in params.tasks}
    stage.metrics |= curate(params, documents, tasks, stage.output("data/corpus", resumable=True))


if __name__ == "__main__":
    run_data_stage("curate", prepare)
