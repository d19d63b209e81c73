"""Optimisers: AdamW, and Muon for the matrices."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from textmill import params
from textmill.models.fused import FusedLinear
from textmill.training.precision import bfloat16
from textmill.training.sharding import part, whole

if TYPE_CHECKING:
    from torch import Tensor, nn

# The parameter of a block: its stack and its number, as `model.layers.3.attention.query.weight`.
BLOCK = re.compile(r"^(?P<stack>.*?\.?(?:layers?|h|blocks?))\.(?P<number>\d+)\.")
# What a fine-tuning draws anew within the body: BERT's pooler is a part of the head, matches are the task's.
NEW = re.compile(r"\.(?:pooler|embeddings\.matches)\.")
# Newton-Schulz: coefficients of the quintic by Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/
QUINTIC = (3.4445, -4.7750, 2.0315)


def depths(model: nn.Module) -> dict[str, int]:
    """The depth of each parameter: 0 embeddings, 1 and up the blocks of its stack, then the head."""
    found = {name: BLOCK.match(name) for name, _ in model.named_parameters()}
    numbers: dict[str, int] = {}
    for match in found.values():
        if match:
            stack = match["stack"]
            numbers[stack] = max(numbers.get(stack, 0), int(match["number"]) + 1)
    top = max(numbers.values(), default=0)
    result = {}
    for name, match in found.items():
        if match:
            # Stacks of different height end at the same depth.
            result[name] = int(match["number"]) + 1 + top - numbers[match["stack"]]
        else:
            result[name] = 0 if re.search(r"embed|wte|wpe|shared", name) else top + 1
    return result


def blocks(model: nn.Module) -> list[nn.Module]:
    """The numbered blocks of the model's stacks."""
    matches = ((module, name, BLOCK.match(f"{name}.")) for name, module in model.named_modules())
    return [module for module, name, match in matches if match and match.end() == len(name) + 1]


def freeze(model: nn.Module, layers: int) -> None:
    """Take the lowest ``layers`` depths out of training, 1 the embeddings alone; what is new stays in it."""
    for name, depth in depths(model).items():
        if depth < layers and not NEW.search(name):
            model.get_parameter(name).requires_grad_(False)


def trained(model: nn.Module) -> list[Tensor]:
    """The parameters that are in training, in the model's order."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def lowest_thawed(top: int, over: float, progress: float) -> int:
    """The lowest depth that trains at ``progress`` of the budget under gradual unfreezing.

    ``top``, the head's depth, trains from the start; one depth more joins at a time, at even distances, and
    the embeddings, depth 0, at ``over`` of the budget (Howard and Ruder 2018, section 3.3: an epoch a layer).
    """
    return max(top - int(top * progress / over), 0)


def groups(model: nn.Module, training: params.Training) -> list[dict[str, Any]]:
    """Parameter groups: by optimiser, weight decay and depth.

    Biases and the gains of norms are not decayed; Muon takes the matrices of the blocks, AdamW embeddings,
    heads and vectors; a depth's learning rate is ``layer_decay`` times that of the depth above.
    """
    spec = training.optimizer
    depth = depths(model)
    top = max(depth.values(), default=0)
    found: dict[tuple[bool, bool, int], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            matrix = parameter.ndim >= 2
            muon = spec.name == "muon" and parameter.ndim == 2 and BLOCK.match(name) is not None
            at = depth[name] if training.layer_decay < 1 else top
            found.setdefault((muon, matrix, at), []).append(parameter)
    result = []
    for (muon, matrix, at), parameters in found.items():
        rate = spec.muon_learning_rate if muon else training.learning_rate
        result.append(
            {
                "params": parameters,
                "lr": rate * training.layer_decay ** (top - at),
                "weight_decay": spec.weight_decay if matrix else 0.0,
                "muon": muon,
            }
        )
    return result


def optimizer(model: nn.Module, training: params.Training, device: str) -> torch.optim.Optimizer:
    """The optimiser that ``training`` names over the parameters of ``model`` that train."""
    spec = training.optimizer
    if spec.name == "muon":
        parts = {part.weight: part.parts for part in model.modules() if isinstance(part, FusedLinear)}
        return Muon(groups(model, training), betas=spec.betas, momentum=spec.muon_momentum, parts=parts)
    # On a CPU the fused step is one pass over memory as well, and as exact.
    return torch.optim.AdamW(groups(model, training), betas=spec.betas, fused=device in ("cpu", "cuda"))


class Muon(torch.optim.AdamW):
    """Muon for groups marked ``muon`` (Jordan et al. 2024), AdamW (Loshchilov and Hutter 2019) elsewhere.

    A matrix moves along its momentum, made nearly orthogonal by five Newton-Schulz steps and scaled by
    sqrt(max(1, rows / columns)); matrices of the same shape go through them as one batch. Where several maps
    stand in one matrix (queries, keys, values), each is made orthogonal by itself, as Jordan et al. advise;
    ``parts`` has the rows of each.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        *,
        betas: tuple[float, float],
        momentum: float,
        parts: Mapping[Tensor, Sequence[int]],
    ) -> None:
        super().__init__(groups, betas=betas, foreach=True)
        self.parts = parts
        for group in self.param_groups:
            group["momentum"] = momentum

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Move all groups once; returns the loss of ``closure``, or None without one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        every = self.param_groups
        for group in every:
            if group["muon"]:
                self._move(group)
        # AdamW steps over the groups that it finds: the matrices are not among them.
        self.param_groups = [group for group in every if not group["muon"]]
        try:
            super().step()
        finally:
            self.param_groups = every
        return loss

    def _move(self, group: dict[str, Any]) -> None:
        parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
        if not parameters:
            return
        gradients = [parameter.grad for parameter in parameters]
        for parameter in parameters:
            if "momentum_buffer" not in self.state[parameter]:
                # AdamW expects a step count in every state that it loads.
                self.state[parameter]["step"] = torch.zeros(())
                self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        buffers = [self.state[parameter]["momentum_buffer"] for parameter in parameters]
        torch._foreach_lerp_(buffers, gradients, 1 - group["momentum"])
        ahead = torch._foreach_lerp(gradients, buffers, group["momentum"])  # Nesterov
        if group["weight_decay"]:
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        # A shard has no direction of its own: the whole matrix is moved from zero, and the shard added.
        ways = [whole(direction) for direction in ahead]
        moved = [
            parameter if way is direction else torch.zeros_like(way)
            for parameter, way, direction in zip(parameters, ways, ahead, strict=True)
        ]
        shapes: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = {}
        for parameter, target, direction in zip(parameters, moved, ways, strict=True):
            parts = list(self.parts.get(parameter, parameter.shape[:1]))
            for piece, way in zip(target.split(parts), direction.split(parts), strict=True):
                shapes.setdefault(tuple(piece.shape), []).append((piece, way))
        for (rows, columns), members in shapes.items():
            updates = orthogonal(torch.stack([way for _, way in members]))
            scale = -group["lr"] * max(1.0, rows / columns) ** 0.5
            for (piece, _), update in zip(members, updates.unbind(), strict=True):
                piece.add_(update, alpha=scale)
        for parameter, target in zip(parameters, moved, strict=True):
            if target is not parameter:
                parameter.add_(part(target, parameter))


def orthogonal(matrices: Tensor, steps: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrices, roughly: singular values between 0.7 and 1.2.

    (batch, rows, columns) to the same shape; Newton-Schulz iteration of Jordan et al. 2024, in bfloat16 where
    the device has instructions for it.
    """
    a, b, c = QUINTIC
    x = matrices.bfloat16() if bfloat16(matrices.device) else matrices
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)
