"""report: one page of what was trained on what and how good it is; gates; the registry's champions."""

from textmill.stage import Stage, run_data_stage


def prepare(stage: Stage) -> None:
    from textmill.report import build
    from textmill.results import headlines

    page = stage.output("reports/index.html")
    passed = build(stage.params, stage.root, page, stage.costs())
    stage.metrics["tasks_passing_their_gate"] = sum(passed.values())
    stage.run.log_artifact(page)
    champions = [name for name, good in passed.items() if good]
    stage.complete_lineage(champions, headlines(stage.params, stage.root))


if __name__ == "__main__":
    run_data_stage("report", prepare)
