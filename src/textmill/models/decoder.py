"""The decoder and its model for causal language modelling."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from transformers import Cache, DynamicCache, EncoderDecoderCache, GenerationMixin
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast

from textmill.models.base import IGNORED, TransformerModel, token_loss
from textmill.models.configuration import DecoderConfig, TransformerConfig
from textmill.models.embeddings import Embeddings
from textmill.models.layers import Memory, Stack, Trace
from textmill.models.masks import compute_dtype, self_mask, without_need
from textmill.models.positions import count, rotary


class Decoder(nn.Module):
    """Embeddings and a stack in which every position sees itself and what came before.

    With ``cross`` its layers also look at the output of an encoder.
    """

    def __init__(self, config: TransformerConfig, cross: bool = False) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.stack = Stack(config, cross)

    def forward(
        self,
        tokens: Tensor,
        padding: Tensor | None = None,
        segments: Tensor | None = None,
        positions: Tensor | None = None,
        cache: Cache | None = None,
        memory: Memory | None = None,
        trace: Trace | None = None,
    ) -> Tensor:
        """tokens: (batch, length, width), the last of the ``padding``'s (batch, keys) -> as tokens."""
        config, length = self.config, tokens.shape[1]
        past = 0 if cache is None else int(cache.get_seq_length())
        padding = without_need(padding)
        if positions is None:
            positions = count(padding, segments, past + length, tokens.device)[:, -length:]
        x = self.embeddings(tokens, positions, None, past + length)
        mask = self_mask(
            x,
            keys=past + length,
            padding=padding,
            segments=segments,
            causal=True,
            in_kernel=config.attention == "fused",
        )
        turns = None
        if config.positions == "rotary":
            turns = rotary(positions, config.head_width, config.rotary_base, compute_dtype(x))
        own = cache.self_attention_cache if isinstance(cache, EncoderDecoderCache) else cache
        return self.stack(x, mask, turns, memory, own, trace)


class DecoderModel(TransformerModel):
    """The bare decoder; ``AutoModel`` loads it."""

    config_class = DecoderConfig

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.decoder = Decoder(config)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        segment_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
        return_dict: bool = True,
    ) -> BaseModelOutputWithPast | tuple:
        """input_ids: (batch, length); attention_mask: (batch, past + length), 0 at padding.

        ``segment_ids`` (batch, length) number the documents packed into a row. While a cache is in use
        the inputs are the tokens after the cached ones.
        """
        trace = Trace.of(output_hidden_states, output_attentions)
        tokens = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        if past_key_values is None and use_cache and not self.training:
            past_key_values = DynamicCache()
        x = self.decoder(tokens, attention_mask, segment_ids, position_ids, past_key_values, None, trace)
        output = BaseModelOutputWithPast(
            last_hidden_state=x,
            past_key_values=past_key_values,
            hidden_states=None if trace.hidden_states is None else tuple(trace.hidden_states),
            attentions=None if trace.attentions is None else tuple(trace.attentions),
        )
        return output if return_dict else output.to_tuple()


class DecoderForCausalLM(TransformerModel, GenerationMixin):
    """Predicts each token from those before it (Bengio et al. 2003; Radford et al. 2019)."""

    config_class = DecoderConfig
    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}  # noqa: RUF012 - as transformers has it

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__(config)
        self.model = DecoderModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=config.head_bias)
        self.post_init()

    def get_output_embeddings(self) -> nn.Module:
        """The head, whose weight is that of the input where they are tied."""
        return self.lm_head

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        self.lm_head = new_embeddings

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        segment_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        labelled_only: bool = False,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast | tuple:
        """labels: (batch, length), the input itself: the shift by one happens here; -100 is ignored.

        Returns ``logits`` (batch, length, vocabulary), those of the last ``logits_to_keep`` positions
        where it is given, or with ``labelled_only`` (positions whose next token is labelled, vocabulary).
        """
        return_dict = kwargs.pop("return_dict", True)
        output = self.model(
            input_ids,
            attention_mask,
            position_ids,
            segment_ids,
            past_key_values,
            inputs_embeds,
            self.config.use_cache if use_cache is None else use_cache,
            **kwargs,
        )
        x = output.last_hidden_state
        if labels is not None:
            # The label of position i is token i + 1; shifting labels instead of logits copies nothing.
            labels = F.pad(labels, (0, 1), value=IGNORED)[:, 1:]
            if labelled_only:
                chosen = labels != IGNORED
                x, labels = x[chosen], labels[chosen]
        elif isinstance(logits_to_keep, Tensor):
            x = x[:, logits_to_keep]
        elif logits_to_keep:
            x = x[:, -logits_to_keep:]
        logits = self.lm_head(x)
        result = CausalLMOutputWithPast(
            loss=None if labels is None else token_loss(logits, labels),
            logits=logits,
            past_key_values=output.past_key_values,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )
        return result if return_dict else result.to_tuple()
