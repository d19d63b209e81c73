"""What our models share as ``transformers`` models: initialisation and the language-model loss."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from textmill.models.configuration import TransformerConfig
from textmill.models.crf import IGNORED, LinearChainCRF
from textmill.models.heads import NgramScores
from textmill.models.normalization import RMSNorm
from textmill.models.residual import ResidualOutput


class TransformerModel(PreTrainedModel):
    """Base of all models here."""

    config_class: type[TransformerConfig] = TransformerConfig
    config: TransformerConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True

    def _init_weights(self, module: nn.Module) -> None:
        """Normal(0, initializer_range), zero biases, unit gains; branches into the residual smaller.

        A stack of n residual branches adds up n variances: their last maps are drawn with
        initializer_range / sqrt(n) (Radford et al. 2019, section 2.3), or are zero.
        """
        config = self.config
        if isinstance(module, nn.Linear | nn.Embedding):
            std = config.initializer_range
            if isinstance(module, ResidualOutput) and config.residual_init == "scaled":
                std /= math.sqrt(config.num_hidden_layers * (3 if config.is_encoder_decoder else 2))
            if isinstance(module, ResidualOutput) and config.residual_init == "zero":
                nn.init.zeros_(module.weight)
            else:
                nn.init.normal_(module.weight, 0.0, std)
        elif isinstance(module, RMSNorm | nn.LayerNorm):
            nn.init.ones_(module.weight)
        elif isinstance(module, LinearChainCRF | NgramScores):
            for parameter in module.parameters():
                nn.init.zeros_(parameter)
        bias = getattr(module, "bias", None)
        if isinstance(bias, nn.Parameter):
            nn.init.zeros_(bias)

    def get_input_embeddings(self) -> nn.Module:
        """The table of tokens, (vocabulary, width)."""
        return self.base_model.get_submodule("embed_tokens")

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.base_model.set_submodule("embed_tokens", value)


def token_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy in nats over the labels that are not -100, in float32 or wider.

    logits: (..., vocabulary), labels: (...).
    """
    logits = logits.flatten(0, -2)
    if logits.dtype.itemsize < 4:
        logits = logits.float()
    return F.cross_entropy(logits, labels.flatten().to(logits.device), ignore_index=IGNORED)
