"""The encoder-decoder and its model for sequence-to-sequence learning."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import Cache, DynamicCache, EncoderDecoderCache, GenerationMixin
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput, Seq2SeqModelOutput

from textmill.errors import UserError
from textmill.models.base import IGNORED, TransformerModel, token_loss
from textmill.models.configuration import Seq2SeqConfig
from textmill.models.decoder import Decoder
from textmill.models.encoder import Encoder
from textmill.models.layers import Memory, Trace
from textmill.models.masks import cross_mask, without_need


class Seq2SeqEncoder(TransformerModel):
    """The encoder side as a model of its own, as ``generate`` calls it."""

    config_class = Seq2SeqConfig
    main_input_name = "input_ids"

    def __init__(self, config: Seq2SeqConfig, embed_tokens: nn.Module) -> None:
        super().__init__(config)
        # The embedding is the whole model's: held in a tuple, it is no second parameter of this side.
        self._shared = (embed_tokens,)
        self.body = Encoder(config)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The table of the whole model."""
        return self._shared[0]

    def set_input_embeddings(self, value: nn.Module) -> None:
        self._shared = (value,)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        segment_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
        return_dict: bool = True,
        **_: Any,
    ) -> BaseModelOutput | tuple:
        """input_ids: (batch, length) -> ``last_hidden_state`` (batch, length, width)."""
        trace = Trace.of(output_hidden_states, output_attentions)
        tokens = self._shared[0](input_ids) if inputs_embeds is None else inputs_embeds
        x = self.body(tokens, attention_mask, segment_ids, trace=trace)
        output = BaseModelOutput(
            last_hidden_state=x,
            hidden_states=None if trace.hidden_states is None else tuple(trace.hidden_states),
            attentions=None if trace.attentions is None else tuple(trace.attentions),
        )
        return output if return_dict else output.to_tuple()


class Seq2SeqModel(TransformerModel):
    """The bare encoder-decoder; one embedding serves both sides."""

    config_class = Seq2SeqConfig

    def __init__(self, config: Seq2SeqConfig) -> None:
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.encoder = Seq2SeqEncoder(config, self.embed_tokens)
        self.decoder = Decoder(config, cross=True)
        self.post_init()

    def get_encoder(self, modality: str | None = None) -> nn.Module:
        return self.encoder

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Both sides read the one table."""
        self.set_submodule("embed_tokens", value)
        self.encoder.set_input_embeddings(value)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        segment_ids: Tensor | None = None,
        decoder_segment_ids: Tensor | None = None,
        encoder_outputs: BaseModelOutput | tuple | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        decoder_inputs_embeds: Tensor | None = None,
        decoder_position_ids: Tensor | None = None,
        use_cache: bool | None = None,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
        return_dict: bool = True,
    ) -> Seq2SeqModelOutput | tuple:
        """input_ids: (batch, source), decoder_input_ids: (batch, target), masks 0 at padding.

        Returns ``last_hidden_state`` (batch, target, width) of the decoder and the encoder's output.
        """
        if encoder_outputs is None:
            encoder_outputs = self.encoder(
                input_ids,
                attention_mask,
                segment_ids,
                inputs_embeds,
                output_attentions=output_attentions,
                output_hidden_states=output_hidden_states,
            )
        elif not isinstance(encoder_outputs, BaseModelOutput):
            encoder_outputs = BaseModelOutput(*encoder_outputs)
        if past_key_values is None and use_cache and not self.training:
            past_key_values = EncoderDecoderCache(DynamicCache(), DynamicCache())
        if decoder_inputs_embeds is None:
            if decoder_input_ids is None:
                raise UserError("an encoder-decoder needs decoder_input_ids or labels beside input_ids")
            decoder_inputs_embeds = self.embed_tokens(decoder_input_ids)
        assert isinstance(encoder_outputs, BaseModelOutput)
        states = encoder_outputs.last_hidden_state
        assert states is not None
        memory = Memory(
            states,
            cross_mask(decoder_inputs_embeds, without_need(attention_mask), decoder_segment_ids, segment_ids),
            past_key_values.cross_attention_cache
            if isinstance(past_key_values, EncoderDecoderCache)
            else None,
        )
        trace = Trace.of(output_hidden_states, output_attentions)
        x = self.decoder(
            decoder_inputs_embeds,
            decoder_attention_mask,
            decoder_segment_ids,
            decoder_position_ids,
            past_key_values,
            memory,
            trace,
        )
        output = Seq2SeqModelOutput(
            last_hidden_state=x,
            past_key_values=past_key_values,  # type: ignore[arg-type]
            decoder_hidden_states=None if trace.hidden_states is None else tuple(trace.hidden_states),
            decoder_attentions=None if trace.attentions is None else tuple(trace.attentions),
            cross_attentions=None if trace.cross_attentions is None else tuple(trace.cross_attentions),
            encoder_last_hidden_state=states,
            encoder_hidden_states=encoder_outputs.hidden_states,
            encoder_attentions=encoder_outputs.attentions,
        )
        return output if return_dict else output.to_tuple()


class Seq2SeqForConditionalGeneration(TransformerModel, GenerationMixin):
    """Predicts a target text from a source text (Sutskever et al. 2014; Vaswani et al. 2017)."""

    config_class = Seq2SeqConfig
    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}  # noqa: RUF012 - as transformers has it

    def __init__(self, config: Seq2SeqConfig) -> None:
        super().__init__(config)
        self.model = Seq2SeqModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=config.head_bias)
        self.post_init()

    def get_encoder(self, modality: str | None = None) -> nn.Module:
        return self.model.encoder

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        """The head, whose weight is that of the input where they are tied."""
        return self.lm_head

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        self.lm_head = new_embeddings

    def prepare_decoder_input_ids_from_labels(self, labels: Tensor) -> Tensor:
        """The labels shifted right, behind the start token: what the decoder reads. (batch, target)."""
        start = self.config.decoder_start_token_id
        if start is None or self.config.pad_token_id is None:
            raise UserError("an encoder-decoder needs decoder_start_token_id and pad_token_id in its config")
        shifted = labels.new_full(labels.shape, start)
        shifted[:, 1:] = labels[:, :-1]
        return shifted.masked_fill(shifted == IGNORED, self.config.pad_token_id)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        segment_ids: Tensor | None = None,
        decoder_segment_ids: Tensor | None = None,
        encoder_outputs: BaseModelOutput | tuple | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        decoder_inputs_embeds: Tensor | None = None,
        decoder_position_ids: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        labelled_only: bool = False,
        **kwargs: Any,
    ) -> Seq2SeqLMOutput | tuple:
        """labels: (batch, target), -100 ignored; the decoder reads them shifted where it is given nothing.

        Returns ``logits`` (batch, target, vocabulary), with ``labelled_only`` (labelled positions,
        vocabulary).
        """
        return_dict = kwargs.pop("return_dict", True)
        if labels is not None and decoder_input_ids is None and decoder_inputs_embeds is None:
            decoder_input_ids = self.prepare_decoder_input_ids_from_labels(labels)
        output = self.model(
            input_ids,
            attention_mask,
            decoder_input_ids,
            decoder_attention_mask,
            segment_ids,
            decoder_segment_ids,
            encoder_outputs,
            past_key_values,
            inputs_embeds,
            decoder_inputs_embeds,
            decoder_position_ids,
            (self.config.use_cache and labels is None) if use_cache is None else use_cache,
            **kwargs,
        )
        x = output.last_hidden_state
        if labelled_only and labels is not None:
            chosen = labels != IGNORED
            x, labels = x[chosen], labels[chosen]
        logits = self.lm_head(x)
        result = Seq2SeqLMOutput(
            loss=None if labels is None else token_loss(logits, labels),
            logits=logits,
            past_key_values=output.past_key_values,
            decoder_hidden_states=output.decoder_hidden_states,
            decoder_attentions=output.decoder_attentions,
            cross_attentions=output.cross_attentions,
            encoder_last_hidden_state=output.encoder_last_hidden_state,
            encoder_hidden_states=output.encoder_hidden_states,
            encoder_attentions=output.encoder_attentions,
        )
        return result if return_dict else result.to_tuple()
