"""The corpus: sources read and measured once (``ingest``), then decided document by document (``curate``)."""

from textmill.corpus.curation import curate
from textmill.corpus.explain import diff, why
from textmill.corpus.ingestion import ingest

__all__ = ["curate", "diff", "ingest", "why"]
