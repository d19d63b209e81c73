"""Why a model answered as it did: attributions of the input's tokens, and where its attention went."""

from textmill.explain.explanation import Explanation, explain

__all__ = ["Explanation", "explain"]
