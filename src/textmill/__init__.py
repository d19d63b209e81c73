"""Text in, evaluated language models out, and the record of how."""
