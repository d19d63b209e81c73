"""What a Transformer of ours can be: one strict configuration, in three kinds.

The fields cover what the published families differ in, so that BERT, RoBERTa, GPT-2, Llama and BART are
values of these fields and not code of their own (see ``exchange``). Field names that ``transformers``
knows are kept, since its cache, its generation and peft read them.
"""

# No postponed annotations here: `strict` validates values by the types that it finds on the class.
import dataclasses
import difflib
from typing import Any, ClassVar, Literal

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig, PreTrainedTokenizerBase

from textmill.errors import UserError
from textmill.params import Architecture, Kind

# Arguments that transformers itself hands to a configuration, beside the fields.
PASSED_BY_TRANSFORMERS = frozenset(
    {
        "_attn_implementation",
        "_commit_hash",
        "_name_or_path",
        "attn_implementation",
        "experts_implementation",
        "model_type",
        "name_or_path",
        "num_labels",
        "output_attentions",
        "torch_dtype",
        "use_cache",
    }
)


@strict
class TransformerConfig(PreTrainedConfig):
    """Shape and options of a Transformer; an unknown key raises UserError.

    Widths are numbers of features, ``num_hidden_layers`` counts each side of an encoder-decoder.
    """

    attribute_map: ClassVar[dict[str, str]] = {}
    keys_to_ignore_at_inference: ClassVar[list[str]] = ["past_key_values"]

    # Shape.
    vocab_size: int = 4096
    hidden_size: int = 192
    num_hidden_layers: int = 4
    num_attention_heads: int = 6
    num_key_value_heads: int = 6
    intermediate_size: int = 768
    max_position_embeddings: int = 256

    # Embeddings.
    positions: Literal["rotary", "learned", "sinusoidal", "none"] = "rotary"
    position_offset: int = 0  # rows that a learned table starts with and never uses (RoBERTa and BART: 2)
    rotary_base: float = 10000.0
    embedding_scale: float = 1.0  # sqrt(hidden_size) in "Attention is all you need"
    embedding_norm: bool = False
    type_vocab_size: int = 0  # token types (BERT); 0: none
    mark_matches: bool = False  # which tokens the two texts of a pair share, read off the ids
    tie_word_embeddings: bool = True

    # Blocks.
    norm: Literal["layer", "rms"] = "rms"
    norm_eps: float = 1e-5
    norm_first: bool = True
    final_norm: bool = True  # after the last layer of each stack
    activation: Literal["gelu", "gelu_tanh", "relu", "relu2", "swiglu"] = "relu2"
    bias: bool = False  # in linear maps and LayerNorm
    qk_norm: bool = False
    attention: Literal["plain", "fused"] = "plain"
    dropout: float = 0.1  # of embeddings and of each residual branch
    attention_dropout: float = 0.0  # of attention weights

    # Heads.
    head_bias: bool = False  # of the language-model head
    head_transform: bool = False  # dense, GELU and norm before the head (BERT)
    pooling: Literal["first", "mean"] = "first"  # what a sequence classifier reads
    marker_ids: list[int] | None = None  # or: tokens of which each stands once, read side by side
    classifier_dense: bool = True  # dense and tanh before the classifier (BERT)
    classifier_dropout: float = 0.1
    ngrams: int = 0  # a sequence classifier's scores of n-grams of up to so many tokens; 0: none
    ngram_rows: int = 0  # of their table
    crf: bool = False  # a conditional random field over a token classifier's tags

    # Initialisation.
    initializer_range: float = 0.02
    residual_init: Literal["scaled", "zero", "plain"] = "scaled"

    # Special tokens.
    pad_token_id: int | None = 0
    bos_token_id: int | None = 2
    eos_token_id: int | list[int] | None = 3
    decoder_start_token_id: int | None = None
    use_cache: bool = True

    def __post_init__(self, **kwargs: Any) -> None:
        known = {field.name for field in dataclasses.fields(self)}
        for key in kwargs:
            if key not in PASSED_BY_TRANSFORMERS:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known))}"
                raise UserError(f"{type(self).__name__} has no key {key!r}; {hint}")
        super().__post_init__(**kwargs)
        if self.hidden_size % self.num_attention_heads:
            raise UserError(
                f"hidden_size {self.hidden_size} is not a multiple of "
                f"num_attention_heads {self.num_attention_heads}"
            )
        if self.num_attention_heads % self.num_key_value_heads:
            raise UserError(
                f"num_attention_heads {self.num_attention_heads} is not a multiple of "
                f"num_key_value_heads {self.num_key_value_heads}"
            )
        if self.positions == "rotary" and self.head_width % 2:
            raise UserError(f"rotary positions need an even head width; found {self.head_width}")

    @property
    def head_width(self) -> int:
        """Features of one attention head, d_k."""
        return self.hidden_size // self.num_attention_heads

    def to_diff_dict(self) -> dict[str, Any]:
        """All fields, those at their default too: a saved model does not change with the code."""
        return self.to_dict()


@strict
class EncoderConfig(TransformerConfig):
    """An encoder: every position sees every other."""

    model_type = "textmill-encoder"


@strict
class DecoderConfig(TransformerConfig):
    """A decoder: every position sees itself and what came before."""

    model_type = "textmill-decoder"


@strict
class Seq2SeqConfig(TransformerConfig):
    """An encoder-decoder."""

    model_type = "textmill-seq2seq"
    is_encoder_decoder: bool = True


CONFIGS: dict[Kind, type[TransformerConfig]] = {
    "encoder": EncoderConfig,
    "decoder": DecoderConfig,
    "seq2seq": Seq2SeqConfig,
}


def from_architecture(
    kind: Kind, architecture: Architecture, tokenizer: PreTrainedTokenizerBase, **changes: Any
) -> TransformerConfig:
    """The configuration for ``params.Architecture`` and a tokenizer; ``changes`` are further fields."""
    fields: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": architecture.width,
        "num_hidden_layers": architecture.layers,
        "num_attention_heads": architecture.heads,
        "num_key_value_heads": architecture.key_value_heads,
        "intermediate_size": architecture.feed_forward,
        "max_position_embeddings": architecture.max_positions,
        "positions": architecture.positions,
        "norm": architecture.norm,
        "norm_first": architecture.norm_first,
        "final_norm": architecture.norm_first,
        # A post-norm stack has no norm of its own before the first layer.
        "embedding_norm": not architecture.norm_first,
        # A post-norm encoder is BERT, with BERT's head, and can be exported as one.
        "head_transform": kind == "encoder" and not architecture.norm_first,
        "activation": architecture.activation,
        "bias": architecture.bias,
        "qk_norm": architecture.qk_norm,
        "attention": architecture.attention,
        "dropout": architecture.dropout,
        "attention_dropout": architecture.attention_dropout,
        "tie_word_embeddings": architecture.tie_embeddings,
        "pooling": architecture.pooling,
        "classifier_dropout": architecture.dropout,
        "initializer_range": architecture.init_std,
        "residual_init": architecture.residual_init,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    if kind == "seq2seq":
        fields["decoder_start_token_id"] = tokenizer.bos_token_id
    return CONFIGS[kind](**(fields | changes))
