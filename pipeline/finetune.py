"""finetune: a pretrained model taught one task from its labelled examples."""

from textmill.stage import Stage, run_stage


def work(stage: Stage) -> None:
    from textmill.training.finetuning import finetune

    assert stage.item
    task = stage.params.tasks[stage.item]
    stage.log_params(
        task.model_dump(exclude={"data", "gate"}), {"trainer": stage.params.trainer.model_dump()}
    )
    for other in task.finetune.auxiliary:
        stage.input(f"data/tasks/{other}")
    output = stage.output(f"models/finetuned/{stage.item}")
    stage.metrics |= finetune(
        stage.params,
        stage.item,
        stage.input(f"data/tasks/{stage.item}"),
        stage.input(f"models/pretrained/{task.model}"),
        output,
        logger=stage.logger,
        folder=stage.scratch,
    )
    stage.log_model(stage.item, output)


if __name__ == "__main__":
    run_stage("finetune", work)
