"""pretrain: a language model from packed ids, without labels."""

from textmill.stage import Stage, run_stage


def work(stage: Stage) -> None:
    from textmill.training.pretraining import pretrain

    assert stage.item
    stage.log_params(
        stage.params.pretrain[stage.item].model_dump(), {"trainer": stage.params.trainer.model_dump()}
    )
    output = stage.output(f"models/pretrained/{stage.item}")
    stage.metrics |= pretrain(
        stage.params,
        stage.item,
        stage.input("models/tokenizer"),
        stage.input("data/tokens"),
        output,
        logger=stage.logger,
        folder=stage.scratch,
    )
    stage.log_model(f"pretrained-{stage.item}", output)


if __name__ == "__main__":
    run_stage("pretrain", work)
