"""validate: corpus and labels against the checks; a failed check of severity fail stops here."""

from textmill.lineage import content_digest
from textmill.records import write_json
from textmill.stage import Stage, run_data_stage


def prepare(stage: Stage) -> None:
    from textmill.checks import check_corpus

    params = stage.params
    corpus = stage.input("data/corpus")
    tasks = {name: stage.input(f"data/tasks/{name}") for name in params.tasks}
    stage.log_params(params.checks.model_dump(exclude={"tokens"}))
    report = check_corpus(params, corpus, tasks)
    findings = stage.output("reports/checks.json")
    report.write(findings)
    assert report.profile
    report.profile.write(stage.output("reports/profile.json"))
    report.write_data_docs(stage.output("reports/data_docs"))
    stage.metrics |= report.metrics()
    stage.run.log_artifact(findings)
    report.require()
    # What training waits for: it names the accepted data and no threshold, so that moving a threshold
    # that the data still meets trains nothing again.
    accepted = stage.output("data/accepted")
    write_json(accepted / "corpus.json", {"accepted": content_digest(corpus)})
    for name, folder in tasks.items():
        # A task that learns with others trains again where their data change too.
        others = params.tasks[name].finetune.auxiliary
        digests = {other: content_digest(tasks[other]) for other in others}
        write_json(accepted / f"{name}.json", {"accepted": content_digest(folder), **digests})


if __name__ == "__main__":
    run_data_stage("validate", prepare)
