"""ingest: a source's documents in one table, mended, with the signals that curation decides from."""

from textmill.stage import Stage, run_data_stage


def prepare(stage: Stage) -> None:
    from textmill.corpus import ingest

    assert stage.item
    corpus = stage.params.corpus
    stage.log_params({"source": corpus.sources[stage.item].model_dump(), "text": corpus.text.model_dump()})
    alone = corpus.model_copy(update={"sources": {stage.item: corpus.sources[stage.item]}})
    params = stage.params.model_copy(update={"corpus": alone})
    stage.metrics |= ingest(params, stage.output(f"data/documents/{stage.item}", resumable=True))


if __name__ == "__main__":
    run_data_stage("ingest", prepare)
