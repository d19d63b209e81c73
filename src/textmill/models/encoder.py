"""The encoder and its models: masked language modelling and the tasks that read.

Each head names its inputs in full: transformers' Trainer reads from ``forward`` which columns a model takes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import (
    BaseModelOutput,
    MaskedLMOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)

from textmill.models.base import IGNORED, TransformerModel, token_loss
from textmill.models.configuration import EncoderConfig, TransformerConfig
from textmill.models.crf import LinearChainCRF
from textmill.models.embeddings import Embeddings, matches
from textmill.models.heads import Classifier, HeadTransform, NgramScores, classification_loss, span_loss
from textmill.models.layers import Stack, Trace
from textmill.models.masks import compute_dtype, self_mask, without_need
from textmill.models.positions import count, rotary


class Encoder(nn.Module):
    """Embeddings and a stack in which every position sees every other of its document."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.stack = Stack(config)

    def forward(
        self,
        tokens: Tensor,
        padding: Tensor | None = None,
        segments: Tensor | None = None,
        token_types: Tensor | None = None,
        positions: Tensor | None = None,
        matched: Tensor | None = None,
        trace: Trace | None = None,
    ) -> Tensor:
        """tokens: (batch, length, width); the rest (batch, length) -> (batch, length, width)."""
        config, length = self.config, tokens.shape[1]
        padding = without_need(padding)
        if positions is None:
            positions = count(padding, segments, length, tokens.device)
        x = self.embeddings(tokens, positions, token_types, length, matched)
        mask = self_mask(x, keys=length, padding=padding, segments=segments, causal=False, in_kernel=True)
        turns = None
        if config.positions == "rotary":
            turns = rotary(positions, config.head_width, config.rotary_base, compute_dtype(x))
        return self.stack(x, mask, turns, trace=trace)


class EncoderModel(TransformerModel):
    """The bare encoder; ``AutoModel`` loads it."""

    config_class = EncoderConfig

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.encoder = Encoder(config)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        segment_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        matched: Tensor | None = None,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
        return_dict: bool = True,
    ) -> BaseModelOutput | tuple:
        """All inputs (batch, length); ``segment_ids`` number the documents packed into a row, ``matched`` is
        ``embeddings.matches`` of the ids and needed beside ``inputs_embeds`` alone.

        Returns ``last_hidden_state`` (batch, length, width), and where asked for the attention weights, a
        (batch, heads, length, length) a layer, and the hidden states.
        """
        trace = Trace.of(output_hidden_states, output_attentions)
        tokens = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        if self.config.mark_matches and matched is None:
            end = self.config.eos_token_id
            assert input_ids is not None
            assert isinstance(end, int)
            matched = matches(input_ids, end)
        x = self.encoder(tokens, attention_mask, segment_ids, token_type_ids, position_ids, matched, trace)
        output = BaseModelOutput(
            last_hidden_state=x,
            hidden_states=None if trace.hidden_states is None else tuple(trace.hidden_states),
            attentions=None if trace.attentions is None else tuple(trace.attentions),
        )
        return output if return_dict else output.to_tuple()


class EncoderForMaskedLM(TransformerModel):
    """Predicts tokens that were hidden (Devlin et al. 2019, section 3.1)."""

    config_class = EncoderConfig
    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}  # noqa: RUF012 - as transformers has it

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        self.model = EncoderModel(config)
        self.transform = HeadTransform(config) if config.head_transform else None
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
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        segment_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        labelled_only: bool = False,
        **kwargs: Any,
    ) -> MaskedLMOutput | tuple:
        """labels: (batch, length), -100 where nothing is predicted.

        Returns ``logits`` (batch, length, vocabulary); with ``labelled_only`` (labelled positions,
        vocabulary), which spares the head the six of seven positions that no loss reads.
        """
        return_dict = kwargs.pop("return_dict", True)
        output = self.model(
            input_ids, attention_mask, token_type_ids, position_ids, segment_ids, inputs_embeds, **kwargs
        )
        x = output.last_hidden_state
        if labelled_only and labels is not None:
            chosen = labels != IGNORED
            x, labels = x[chosen], labels[chosen]
        if self.transform is not None:
            x = self.transform(x)
        logits = self.lm_head(x)
        result = MaskedLMOutput(
            loss=None if labels is None else token_loss(logits, labels),
            logits=logits,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )
        return result if return_dict else result.to_tuple()


class EncoderForSequenceClassification(TransformerModel):
    """One label (or number, or several labels) a sequence."""

    config_class = EncoderConfig

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        self.model = EncoderModel(config)
        self.classifier = Classifier(config)
        self.ngrams = NgramScores(config) if config.ngrams else None
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        marker_positions: Tensor | None = None,
        ngram_scores: Tensor | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput | tuple:
        """labels: (batch,) -> ``logits`` (batch, labels).

        ``marker_positions`` (batch, markers) are where ``config.marker_ids`` stand, and ``ngram_scores``
        (batch, n-grams, labels) what ``self.ngrams`` makes of the ids; they are needed where embeddings are
        given in place of ids.
        """
        return_dict = kwargs.pop("return_dict", True)
        output = self.model(
            input_ids, attention_mask, token_type_ids, position_ids, None, inputs_embeds, **kwargs
        )
        if marker_positions is None and input_ids is not None:
            marker_positions = self.classifier.find(input_ids)
        logits = self.classifier(output.last_hidden_state, attention_mask, marker_positions)
        if self.ngrams is not None:
            if ngram_scores is None:
                ngram_scores = self.ngrams(input_ids, attention_mask)
            logits = self.ngrams.mixed(logits, ngram_scores)
        result = SequenceClassifierOutput(
            loss=None if labels is None else classification_loss(logits, labels, self.config.problem_type),
            logits=logits,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )
        return result if return_dict else result.to_tuple()


class EncoderForTokenClassification(TransformerModel):
    """One label a token."""

    config_class = EncoderConfig

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        self.model = EncoderModel(config)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels or 2)
        self.crf = LinearChainCRF(config.num_labels or 2) if config.crf else None
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        **kwargs: Any,
    ) -> TokenClassifierOutput | tuple:
        """labels: (batch, length), -100 where none -> ``logits`` (batch, length, labels).

        With a conditional random field the logits are the scores of tags at tokens, without those of tags
        beside one another, and the loss is that of the whole sequence.
        """
        return_dict = kwargs.pop("return_dict", True)
        output = self.model(
            input_ids, attention_mask, token_type_ids, position_ids, None, inputs_embeds, **kwargs
        )
        logits = self.classifier(self.dropout(output.last_hidden_state))
        loss_of = token_loss if self.crf is None else self.crf
        result = TokenClassifierOutput(
            loss=None if labels is None else loss_of(logits, labels),
            logits=logits,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )
        return result if return_dict else result.to_tuple()


class EncoderForQuestionAnswering(TransformerModel):
    """The first and last token of an answer in a text."""

    config_class = EncoderConfig

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        self.model = EncoderModel(config)
        self.span = nn.Linear(config.hidden_size, 2)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
        **kwargs: Any,
    ) -> QuestionAnsweringModelOutput | tuple:
        """start_positions, end_positions: (batch,) -> ``start_logits``, ``end_logits`` (batch, length)."""
        return_dict = kwargs.pop("return_dict", True)
        output = self.model(
            input_ids, attention_mask, token_type_ids, position_ids, None, inputs_embeds, **kwargs
        )
        starts, ends = torch.unbind(self.span(output.last_hidden_state), dim=-1)  # (batch, length) each
        loss = None
        if start_positions is not None and end_positions is not None:
            loss = span_loss(starts, ends, start_positions, end_positions)
        result = QuestionAnsweringModelOutput(
            loss=loss,
            start_logits=starts,
            end_logits=ends,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )
        return result if return_dict else result.to_tuple()
