"""A language model: embedding, blocks of mixer and MLP, a head tied to the embedding.

B batch, L length, D width, V vocabulary.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from minihyena.errors import check_length, choose
from minihyena.filters import init_small
from minihyena.hyena import HyenaConfig, HyenaOperator
from minihyena.rivals import AttentionConfig, SoftmaxAttention

__all__ = ["MIXERS", "Block", "LMConfig", "LanguageModel", "MixerKind"]


class MixerKind(NamedTuple):
    """A mixer's module, built as module(width, max_length, config), and its config."""

    module: type[nn.Module]
    config: type


MIXERS = {
    "hyena": MixerKind(HyenaOperator, HyenaConfig),
    "attention": MixerKind(SoftmaxAttention, AttentionConfig),
}


@dataclass(frozen=True)
class LMConfig:
    """`mixer` is a name in MIXERS, `mixer_config` that mixer's options (None: default).

    Raises ValueError for an unknown mixer and for sizes below 1, TypeError if
    `mixer_config` belongs to another mixer.
    """

    vocab_size: int
    max_length: int = 256
    width: int = 128
    depth: int = 2
    mixer: str = "hyena"
    mixer_config: Any = None
    mlp_ratio: float = 2.0
    dropout: float = 0.0
    tied: bool = True  # head and embedding share their weight

    def __post_init__(self) -> None:
        kind = MIXERS[choose("mixer", self.mixer, MIXERS)]
        if self.mixer_config is None:
            object.__setattr__(self, "mixer_config", kind.config())
        if not isinstance(self.mixer_config, kind.config):
            raise TypeError(
                f"mixer {self.mixer!r} is configured by {kind.config.__name__}; "
                f"got {type(self.mixer_config).__name__}"
            )
        for name in ("vocab_size", "max_length", "width", "depth"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1; got {getattr(self, name)}"
                )
        if not (self.mlp_ratio > 0 and 0 <= self.dropout < 1):
            raise ValueError(
                "mlp_ratio must be above 0 and dropout in 0 .. 1; "
                f"got {self.mlp_ratio} and {self.dropout}"
            )


class Block(nn.Module):
    """r <- r + mixer(norm(r)); r <- r + mlp(norm(r)), on (B, L, D)."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        width, inner = config.width, round(config.mlp_ratio * config.width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        module = MIXERS[config.mixer].module
        self.mixer: Any = module(width, config.max_length, config.mixer_config)
        self.mlp = nn.Sequential(
            nn.Linear(width, inner), nn.GELU("tanh"), nn.Linear(inner, width)
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, r: Tensor) -> Tensor:
        r = r + self.dropout(self.mixer(self.norm1(r)))
        r = r + self.dropout(self.mlp(self.norm2(r)))
        return r


class LanguageModel(nn.Module):
    """ids (B, L) int64 -> logits (B, L, V); logits at t predict the token at t + 1.

    Initialised as the official language models: matrices and embedding normal(0, 0.02),
    the last matrix of each branch scaled by 1 / sqrt(2 depth), so that the loss starts
    at ln V; the filters keep their own `init`. Every draw comes from `generator`
    (None: torch's global one). Source: Poli et al. 2023, A.4; HazyResearch/safari.
    """

    blocks: Any  # of Block

    def __init__(
        self, config: LMConfig, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.config = config
        with drawing_from(generator):
            self.embedding = nn.Embedding(config.vocab_size, config.width)
            self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
            self.norm = nn.LayerNorm(config.width)
            self.head = nn.Linear(config.width, config.vocab_size, bias=False)
            own = {m for f in self.filters() for m in f.modules()}
            for module in self.modules():
                if module not in own:
                    init_small(module)
        with torch.no_grad():
            for block in self.blocks:
                for last in (block.mixer.out_proj, block.mlp[-1]):
                    last.weight /= (2 * config.depth) ** 0.5
        if config.tied:
            self.head.weight = self.embedding.weight

    def forward(self, ids: Tensor) -> Tensor:
        """Raises ValueError for a wrong shape, a length above max_length or an id >= V,
        TypeError for ids that are not integers.
        """
        if ids.dim() != 2:
            raise ValueError(f"ids must be (B, L); got {tuple(ids.shape)}")
        if ids.dtype not in (torch.int64, torch.int32):
            raise TypeError(f"ids must be integers; got {ids.dtype}")
        check_length(ids.shape[1], self.config.max_length)
        if ids.device.type == "cpu" and ids.numel():
            low, high = (int(edge) for edge in ids.aminmax())
            if low < 0 or high >= self.config.vocab_size:
                raise ValueError(
                    f"ids run from {low} to {high}; the vocabulary has "
                    f"{self.config.vocab_size} (0 .. {self.config.vocab_size - 1})"
                )
        r = self.embedding(ids)
        for block in self.blocks:
            r = block(r)
        logits: Tensor = self.head(self.norm(r))
        return logits

    def filters(self) -> list[nn.Module]:
        """The long filters in depth order, filter(length) -> (orders, D, length)."""
        found = [getattr(block.mixer, "filter", None) for block in self.blocks]
        return [f for f in found if f is not None]

    def parameter_count(self) -> int:
        """Trained numbers; a weight shared by embedding and head counts once."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    def parameter_groups(
        self, learning_rate: float, weight_decay: float
    ) -> list[dict[str, Any]]:
        """Optimiser groups: matrices decay; biases, norms, skips, short filters and
        embeddings do not; every filter names its own rate and decay.
        """
        groups = [
            group
            for f in self.filters()
            if hasattr(f, "parameter_groups")
            for group in f.parameter_groups(learning_rate)  # type: ignore[operator]
        ]
        taken = {p for group in groups for p in group["params"]}
        matrices = {m.weight for m in self.modules() if isinstance(m, nn.Linear)}
        matrices -= taken | {self.embedding.weight}
        rest = [p for p in self.parameters() if p not in taken]
        decayed = [p for p in rest if p in matrices]
        kept = [p for p in rest if p not in matrices]
        return [
            {"params": decayed, "lr": learning_rate, "weight_decay": weight_decay},
            {"params": kept, "lr": learning_rate, "weight_decay": 0.0},
            *groups,
        ]

    def flops(self, length: int, batch: int = 1) -> float:
        """Multiplications and additions of one forward pass of ids (batch, length);
        training takes about three times as many.
        """
        config = self.config
        inner = round(config.mlp_ratio * config.width)
        mlp = 4 * config.width * inner * length
        head = 2 * config.width * config.vocab_size * length
        mixers = sum(block.mixer.flops(length, batch) for block in self.blocks)
        return float(mixers + batch * (config.depth * mlp + head))


@contextmanager
def drawing_from(generator: torch.Generator | None) -> Iterator[None]:
    """Every draw inside comes from `generator`; torch's global state is left alone."""
    if generator is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):  # of the CPU, where modules are made
        seed = torch.randint(2**62, (), generator=generator, device=generator.device)
        torch.default_generator.manual_seed(int(seed))
        yield
