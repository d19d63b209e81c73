"""tokenize: the tokenizer, trained on the corpus or taken as it is, and the corpus as packed ids."""

from textmill.stage import Stage, run_data_stage


def prepare(stage: Stage) -> None:
    from textmill import tokenizer
    from textmill.checks import check_tokens

    params = stage.params
    stage.log_params(params.tokenizer.model_dump())
    corpus = stage.input("data/corpus")
    folder = stage.output("models/tokenizer")
    tokens = stage.output("data/tokens")
    stage.metrics |= tokenizer.build(params, corpus, folder)
    stage.metrics |= tokenizer.pack(corpus, folder, tokens)
    tasks = {name: stage.input(f"data/tasks/{name}") for name in params.tasks}
    report = check_tokens(params, folder, tokens, corpus, tasks)
    findings = stage.output("reports/token_checks.json")
    report.write(findings)
    stage.metrics |= report.metrics()
    stage.run.log_artifact(findings)
    report.require()


if __name__ == "__main__":
    run_data_stage("tokenize", prepare)
