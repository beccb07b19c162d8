"""A language model: embedding, blocks of mixer and MLP, a head tied to the embedding.

B batch, L length, D width, V vocabulary.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from minihyena import hub
from minihyena.distillation import filter_modes, refine
from minihyena.errors import at_least, check_ids
from minihyena.filters import ImplicitConfig, init_small
from minihyena.hyena import HyenaConfig
from minihyena.mixer import DECODERS, Fingerprint, State, check_step, is_plain
from minihyena.official_model import model_options, model_state
from minihyena.options import configure, from_fields
from minihyena.rivals.attention import AttentionConfig, SlidingWindowConfig
from minihyena.rivals.gated import GSSConfig, H3Config, MultiHeadHyenaConfig
from minihyena.rivals.linear_attention import LinearAttentionConfig
from minihyena.rivals.modal import ModalConfig
from minihyena.rivals.recurrent import AFTConfig, GRUConfig, RWKVConfig

__all__ = ["Block", "LMConfig", "LanguageModel", "mixers", "no_larger"]

mixers: dict[str, type] = {  # name -> options, which build(width, max_length) a Mixer
    "hyena": HyenaConfig,
    "attention": AttentionConfig,
    "sliding_window": SlidingWindowConfig,
    "linear_attention": LinearAttentionConfig,
    "aft": AFTConfig,
    "h3": H3Config,
    "gss": GSSConfig,
    "rwkv": RWKVConfig,
    "gru": GRUConfig,
    "multihead_hyena": MultiHeadHyenaConfig,
}


@dataclass(frozen=True)
class LMConfig:
    """`mixer` is a word in `mixers` (its defaults) or the options of one.

    Raises ValueError for an unknown mixer and for sizes below 1, TypeError for options
    that are no mixer's.
    """

    vocab_size: int
    max_length: int = 256
    width: int = 128
    depth: int = 2
    mixer: Any = "hyena"
    mlp_ratio: float = 2.0
    dropout: float = 0.0
    tied: bool = True  # head and embedding share their weight
    std: float | None = 0.02  # of the matrices at the start; None: 1 / sqrt(inputs)
    vocab_multiple: int = 1  # embedding and head get rows up to a multiple of this

    def __post_init__(self) -> None:
        object.__setattr__(self, "mixer", configure("mixer", self.mixer, mixers))
        at_least(self, vocab_size=1, max_length=1, width=1, depth=1, vocab_multiple=1)
        if self.std is not None and not 0 < self.std < math.inf:
            raise ValueError(f"std must be above 0 and finite; got {self.std}")
        if not (1 <= self.mlp_ratio * self.width < math.inf and 0 <= self.dropout < 1):
            raise ValueError(
                "mlp_ratio x width must be at least 1 and finite, dropout at least 0 "
                f"and below 1; got {self.mlp_ratio} x {self.width} and {self.dropout}"
            )

    @property
    def padded_vocab(self) -> int:
        """vocab_size rounded up to a multiple of vocab_multiple: how many logits."""
        return -(-self.vocab_size // self.vocab_multiple) * self.vocab_multiple


class Block(nn.Module):
    """r <- r + mixer(norm(r)); r <- r + mlp(norm(r)), on (B, L, D)."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        width, inner = config.width, round(config.mlp_ratio * config.width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mixer = config.mixer.build(width, config.max_length)
        self.mlp = nn.Sequential(
            nn.Linear(width, inner), nn.GELU("tanh"), nn.Linear(inner, width)
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, r: Tensor) -> Tensor:
        return self.after(r, self.mixer(self.norm1(r)))

    def prefill(self, r: Tensor, *options: Any) -> tuple[Tensor, State]:
        y, state = self.mixer.prefill(self.norm1(r), *options)
        return self.after(r, y), state

    def step(self, r: Tensor, state: State) -> tuple[Tensor, State]:
        y, state = self.mixer.step(self.norm1(r), state)
        return self.after(r, y), state

    def after(self, r: Tensor, mixed: Tensor) -> Tensor:
        r = r + self.dropout(mixed)
        r = r + self.dropout(self.mlp(self.norm2(r)))
        return r


class LanguageModel(nn.Module):
    """ids (B, L) int64 -> logits (B, L, V); logits at t predict the token at t + 1.

    With a `vocab_multiple` there are logits beyond V that stand for no token; `sample`
    leaves them out.

    Initialised as the official language models: matrices and embedding normal(0, 0.02),
    the last matrix of each branch scaled by 1 / sqrt(2 depth), so that the loss starts
    at ln V; the filters keep their own `init`. Matrices of another `std` pass on more:
    what a layer says of its past is a product of three projections, and with 0.02 it
    starts as good as silent. Every draw comes from `generator`
    (None: torch's global one). Source: Poli et al. 2023, A.4; HazyResearch/safari.
    """

    blocks: Any  # of Block

    def __init__(
        self, config: LMConfig, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self._weights: Fingerprint | None = None  # as last taken
        with drawing_from(generator):
            self.embedding = nn.Embedding(config.padded_vocab, config.width)
            self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
            self.norm = nn.LayerNorm(config.width)
            self.head = nn.Linear(config.width, config.padded_vocab, bias=False)
            own = {m for f in self.filters() for m in f.modules()}
            for module in self.modules():
                if module not in own:
                    small = module in (self.embedding, self.head)
                    init_small(module, 0.02 if small else config.std)
        with torch.no_grad():
            for block in self.blocks:
                for last in (block.mixer.out_proj, block.mlp[-1]):
                    last.weight /= (2 * config.depth) ** 0.5
        if config.tied:
            self.head.weight = self.embedding.weight

    def forward(self, ids: Tensor) -> Tensor:
        """Raises as errors.check_ids: shape, length, dtype, ids outside 0 .. V - 1."""
        check_ids(ids, self.config.vocab_size, self.config.max_length)
        return self.through(self.embedding(ids))

    def through(self, r: Tensor) -> Tensor:
        """What is embedded, (B, L, D), through all blocks and the head: (B, L, V)."""
        for block in self.blocks:
            r = block(r)
        logits: Tensor = self.head(self.norm(r))
        return logits

    @property
    def decoders(self) -> tuple[str, ...]:
        """The exact ways to go token by token, fastest first: see Mixer.decoders.

        None if a hook, another forward or a subclass may want to see whole sequences.
        """
        own = is_plain(self, LanguageModel) and all(
            type(block) is Block for block in self.blocks
        )
        if not (own and all(is_plain(m, type(m)) for m in self.modules())):
            return ()
        # A subclass that changes something else may step as it always did.
        known = [
            block.mixer.decoders if "advance" in vars(type(block.mixer)) else ()
            for block in self.blocks
        ]
        return tuple(d for d in DECODERS if all(d in each for each in known))

    def prefill(
        self, ids: Tensor, max_length: int | None = None, decoder: str | None = None
    ) -> tuple[Tensor, State]:
        """A prompt ids (B, T) -> logits (B, V) of the next token, and the state after.

        For max_length tokens in all (None: the model's). Raises as `forward` and
        Mixer.start.
        """
        check_ids(ids, self.config.vocab_size, self.config.max_length)
        most = self.config.max_length
        steps = most if max_length is None else max_length
        if not ids.shape[1] <= steps <= most:
            raise ValueError(
                f"a prompt of {ids.shape[1]} tokens wants max_length from "
                f"{ids.shape[1]} to {most}; got {steps}"
            )
        r, states = self.embedding(ids), []
        for block in self.blocks:
            r, state = block.prefill(r, steps, decoder)
            states.append(state)
        self._weights = Fingerprint(self)
        state = State(len(ids), ids.shape[1], steps, states, self._weights.number)
        return self.head(self.norm(r[:, -1])), state

    def step(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """The next token ids (B,) -> logits (B, V) of the one after, and the new state.

        The old state stays valid. Raises as `forward` and Mixer.step.
        """
        check_step(self, ids[..., None], state)
        batch, time, max_length, states, weights = state
        check_ids(ids[:, None], self.config.vocab_size, max_length)
        r, new = self.embedding(ids), []
        for block, state in zip(self.blocks, states, strict=True):
            r, state = block.step(r, state)
            new.append(state)
        state = State(batch, time + 1, max_length, new, weights)
        return self.head(self.norm(r)), state

    def distill(self, order: int, steps: int = 0) -> "LanguageModel":
        """The same model with filters of at most `order` modes: an approximation, whose
        decoder "recurrent" costs O(order) a token however many came before.

        distillation.report says how near it is; `steps` of gradient bring its filters
        nearer. Raises ValueError for a model without long filters, for layers that are
        not as the config says, and for an order that its filters do not support;
        TypeError for a model in half precision, which modes do not bear.
        """
        filters: list[Any] = self.filters()
        if not filters:
            raise ValueError(
                f"there is nothing to distill: {type(self.config.mixer).__name__} has "
                "no long filters"
            )
        configs = [getattr(block.mixer, "config", None) for block in self.blocks]
        if len(filters) < len(configs) or any(c != self.config.mixer for c in configs):
            raise ValueError("to distill, every layer must be as the config says")
        if self.head.weight.dtype not in (torch.float32, torch.float64):
            raise TypeError(
                f"the model is {self.head.weight.dtype}; distill it in float32"
            )
        length = self.config.max_length
        modes = [filter_modes(f, length, order) for f in filters]
        states = max(m.rates.shape[-1] for m in modes)
        mixer = replace(self.config.mixer, filter=ModalConfig(states))
        small = LanguageModel(replace(self.config, mixer=mixer), torch.Generator())
        small.to(self.head.weight)
        weights = self.state_dict().items()
        same = {name: w for name, w in weights if ".mixer.filter." not in name}
        small.load_state_dict(small.state_dict() | same)
        pupils: list[Any] = [block.mixer.filter for block in small.blocks]
        for teacher, pupil, fitted in zip(filters, pupils, modes, strict=True):
            pupil.set_modes(fitted)
            if steps:
                refine(pupil, teacher(length), steps)
        return small.train(self.training)

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
        units = [m for m in self.modules() if isinstance(m, nn.RNNBase)]
        matrices |= {p for m in units for p in m.parameters() if p.dim() == 2}
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
        head = 2 * config.width * config.padded_vocab * length
        mixers = sum(block.mixer.flops(length, batch) for block in self.blocks)
        return float(mixers + batch * (config.depth * mlp + head))

    @classmethod
    def from_hyenadna(
        cls,
        state: Mapping[str, Tensor],
        config: Mapping[str, Any],
        shift: float = 0.05,
        layout: str = "standalone",
    ) -> "LanguageModel":
        """The official model's weights and constructor arguments.

        `shift` is the floor of the filters' window where the config does not state it,
        and none does: 0.05 in standalone_hyenadna.py, with which the published weights
        are used, 0 in the code that trained them. `layout` as in
        HyenaOperator.from_official. The language models of HazyResearch/safari have the
        same names. Raises ValueError for an unknown option and for missing, extra or
        wrongly shaped keys, naming them, TypeError for an option of another type.
        Source: Nguyen et al. 2023 (arXiv 2306.15794), standalone_hyenadna.py.
        """
        fields, operator, filter = model_options(config, shift, layout)
        mixer = operator | {"filter": from_fields(ImplicitConfig, filter)}
        fields["mixer"] = from_fields(HyenaConfig, mixer)
        with no_larger(state):  # it is to be filled
            model = cls(from_fields(LMConfig, fields), torch.Generator())
        shapes = {name: tuple(t.shape) for name, t in model.state_dict().items()}
        model.load_state_dict(model_state(state, shapes, layout))
        return model

    @classmethod
    def from_pretrained(
        cls, name: Path | str, *, revision: str | None = None, shift: float = 0.05
    ) -> "LanguageModel":
        """A published HyenaDNA model in evaluation mode; its letters: DNATokenizer.

        `name` is "hyenadna-tiny-1k" or another of hub.MODELS, "owner/repository" on the
        Hugging Face hub, or a folder that holds the same files, config.json and
        weights. Raises as hub.fetch, hub.read and from_hyenadna.
        """
        config, state = hub.read(hub.fetch(name, revision))
        return cls.from_hyenadna(state, config, shift).eval()


@contextmanager
def no_larger(state: Mapping[str, Tensor]) -> Iterator[None]:
    """ValueError inside, before it takes memory and time, for a module of more numbers
    than `state` can hold: its configuration is not that of the state.
    """
    parts = [tensor.untyped_storage() for tensor in state.values()]
    size = sum({part.data_ptr(): part.nbytes() for part in parts}.values())
    left, mine = 3 * size, get_ident()  # a tied embedding is made, and named, thrice

    def count(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
        nonlocal left
        left -= parameter.numel() * (get_ident() == mine)
        if left < 0:
            raise ValueError(f"its {size:,} bytes are too few for its configuration")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


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
