"""The picture of the attention weights."""

from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from textmill.models import build
from textmill.models.configuration import DecoderConfig
from textmill.models.figures import attention_figure


def test_one_panel_a_head(tmp_path: Path) -> None:
    words = Tokenizer(models.WordLevel({"<unk>": 0, "the": 1, "mill": 2}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>").save_pretrained(tmp_path)
    config = DecoderConfig(vocab_size=3, hidden_size=16, num_attention_heads=4, num_key_value_heads=4)
    build("decoder", "causal_lm", config, seed=1).save_pretrained(tmp_path)
    figure = attention_figure(tmp_path, "the mill the mill", layer=1)
    assert len(figure.axes) == 4
    assert figure.axes[0].get_title() == "layer 1, head 0"
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["the", "mill"] * 2
