"""Text in, evaluated language models out, and the record of how.

After ``import textmill`` the Auto classes and pipelines of ``transformers`` know our models.
"""

from textmill import registration

registration.install()
