"""Readers of labelled data: every usual format becomes checked examples."""

from textmill.tasks.readers.prepare import prepare, problem_of
from textmill.tasks.readers.table import READERS, read_task

__all__ = ["READERS", "prepare", "problem_of", "read_task"]
