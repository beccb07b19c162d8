"""A mixer inside somebody else's model, where nn.MultiheadAttention was.

    replace_attention(model, "hyena", max_length=512, causal=False)

B batch, L length, D width.
"""

from typing import Any

import torch
from torch import Tensor, nn

from minihyena.bidirectional import BidirectionalHyena
from minihyena.hyena import HyenaConfig
from minihyena.mixer import Mixer
from minihyena.model import drawing_from, mixers
from minihyena.options import configure

__all__ = ["MixerAttention", "replace_attention"]


def replace_attention(
    module: nn.Module,
    mixer: Any = "hyena",
    *,
    max_length: int,
    causal: bool,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Put a mixer in the place of every nn.MultiheadAttention in `module`, in place.

    `mixer` is a word in `mixers` or the options of one. `causal` has no default, since
    a wrong choice shows nowhere: with True output t reads inputs 0 .. t, mask or no
    mask; with False, which only "hyena" can, it reads them all (BidirectionalHyena).
    A new mixer has the width, device, dtype and mode (training or evaluation) of what
    it replaces and new weights, drawn from `generator` (None: torch's global one).
    Dropout of attention weights goes, as the weights do. Attention shared by two
    places becomes one mixer shared by them.

    Cross attention in an nn.TransformerDecoderLayer stays as it is. An nn.Transformer
    takes two calls, causal=False on its encoder and causal=True on its decoder.

    Returns `module` (its replacement, if it is itself an nn.MultiheadAttention).
    Raises ValueError, before anything is changed, if there is nothing to replace, for
    attention with kdim, vdim, add_bias_kv or add_zero_attn, for causal=False with a
    mixer that is causal only, and for max_length < 1.
    """
    config = configure("mixer", mixer, mixers)
    if not causal and not isinstance(config, HyenaConfig):
        raise ValueError(
            f"{type(config).__name__} makes a causal mixer only; choose causal=True or "
            'mixer="hyena", or keep nn.MultiheadAttention to read both sides'
        )
    found = self_attention(module)
    adapters: dict[nn.Module, MixerAttention] = {}
    for attention in dict.fromkeys(found.values()):  # a shared one once
        with drawing_from(generator):
            made = (
                config.build(attention.embed_dim, max_length)
                if causal
                else BidirectionalHyena(attention.embed_dim, max_length, config)
            )
        adapters[attention] = MixerAttention(made, attention)
    if module in adapters:
        return adapters[module]
    for name, attention in found.items():
        parent, _, child = name.rpartition(".")
        setattr(module.get_submodule(parent), child, adapters[attention])
    return module


def self_attention(module: nn.Module) -> dict[str, nn.MultiheadAttention]:
    """Path -> attention that a mixer can replace; ValueError as replace_attention."""
    found = {}
    for name, part in module.named_modules(remove_duplicate=False):
        parent, _, child = name.rpartition(".")
        if not isinstance(part, nn.MultiheadAttention) or (
            child == "multihead_attn"
            and isinstance(module.get_submodule(parent), nn.TransformerDecoderLayer)
        ):
            continue
        if not part._qkv_same_embed_dim or part.bias_k is not None:
            raise ValueError(
                f"{name or 'the attention'} has kdim, vdim or add_bias_kv, for which a "
                "mixer has no use; replace the attention of other parts one by one"
            )
        if part.add_zero_attn:
            raise ValueError(
                f"{name or 'the attention'} has add_zero_attn, for which a mixer has "
                "no use; build it without, or replace other parts one by one"
            )
        found[name] = part
    if not found:
        raise ValueError(
            f"{type(module).__name__} holds no nn.MultiheadAttention to replace "
            "(cross attention in an nn.TransformerDecoderLayer stays as it is)"
        )
    return found


class OrdinaryPath:
    """Stands where PyTorch's fused encoders look for attention's own weights.

    Having a `__torch_function__` keeps them from fusing: they call the module instead,
    in evaluation as in training.
    """

    @classmethod
    def __torch_function__(cls, *args: Any, **kwargs: Any) -> Any:
        return NotImplemented


class MixerAttention(nn.Module):
    """A mixer (B, L, D) -> (B, L, D), called like the attention it replaces."""

    in_proj_weight = in_proj_bias = OrdinaryPath()
    _qkv_same_embed_dim = False  # says the same to nn.TransformerEncoderLayer

    def __init__(self, mixer: Mixer, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.mixer = mixer.to(attention.out_proj.weight)  # its device and dtype
        self.causal = not isinstance(mixer, BidirectionalHyena)
        self.batch_first = attention.batch_first
        self.embed_dim, self.num_heads = attention.embed_dim, attention.num_heads
        self.train(attention.training)

    @property
    def out_proj(self) -> nn.Linear:
        return self.mixer.out_proj

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, None]:
        """As nn.MultiheadAttention of one tensor with itself; no weights to return.

        key_padding_mask (B, L): what a row keeps must be one run. Its outputs are those
        of the run alone, and zero at the padding. A two-sided mixer is called once for
        every length of a run.
        attn_mask: None, or for a causal mixer the causal mask.
        Masks are boolean (True: masked) or hold 0 and -inf. Raises ValueError for any
        other mask, for cross attention and for nested tensors.
        """
        if not (query is key is value):
            raise ValueError(
                "a mixer mixes one sequence with itself: call attention(x, x, x) with "
                "the same tensor, and keep nn.MultiheadAttention for cross attention"
            )
        if query.is_nested or query.dim() not in (2, 3):
            raise ValueError(
                "query must be one sequence (L, D) or a batch of them; pad nested "
                "tensors and pass key_padding_mask"
            )
        swap = query.dim() == 3 and not self.batch_first
        u = query.transpose(0, 1) if swap else query.view(-1, *query.shape[-2:])
        check_mask(attn_mask, is_causal, self.causal, u.shape[1])
        if key_padding_mask is None:
            y = self.mixer(u)
        else:
            kept = ~masked("key_padding_mask", key_padding_mask)
            y = self.mix_runs(u, kept.view(-1, kept.shape[-1]))
        return y.transpose(0, 1) if swap else y.view(query.shape), None

    def mix_runs(self, u: Tensor, kept: Tensor) -> Tensor:
        """u (B, L, D), kept (B, L) -> (B, L, D): the kept run of each row by itself."""
        first = first_kept(u, kept)
        time = torch.arange(u.shape[1], device=u.device)
        lengths = kept.sum(1)
        inside = (time < lengths[:, None])[..., None]
        runs = rotate(u, time + first).where(inside, 0)  # now every run starts at 0
        if self.causal:  # and what follows it is the future
            y = self.mixer(runs)
        else:
            y = torch.zeros_like(runs)
            for length in sorted({*lengths.tolist()}):
                rows = lengths == length
                y[rows, :length] = self.mixer(runs[rows, :length]).to(y.dtype)
        return rotate(y.where(inside, 0), time - first)


def rotate(x: Tensor, source: Tensor) -> Tensor:
    """x (B, L, ...), source (B, L) -> y[b, t] = x[b, source[b, t] mod L]."""
    return x[torch.arange(len(x), device=x.device)[:, None], source % x.shape[1]]


def first_kept(u: Tensor, kept: Tensor) -> Tensor:
    """(B, 1): where each row's run starts; ValueError for a hole or an empty row."""
    if kept.shape != u.shape[:2]:
        raise ValueError(
            f"key_padding_mask must be (B, L) = {tuple(u.shape[:2])}; "
            f"got {tuple(kept.shape)}"
        )
    changes = kept.diff(dim=1).sum(1) + kept[:, :1].sum(1) + kept[:, -1:].sum(1)
    broken = (changes != 2).nonzero()
    if len(broken):
        row = int(broken[0])
        places = kept[row].nonzero()[:, 0].tolist()
        raise ValueError(
            f"row {row} of key_padding_mask keeps "
            + (
                f"positions {places}, with a hole. Attention can leave out a position, "
                "a convolution cannot: it goes by distance, and the hole would still "
                "count as time. Move all padding to the ends"
                if places
                else "no position at all; leave the row out"
            )
        )
    return kept.int().argmax(1, keepdim=True)


def masked(name: str, mask: Tensor) -> Tensor:
    """The mask as booleans; ValueError for numbers other than 0 and -inf."""
    if mask.dtype == torch.bool:
        return mask
    hidden = mask == float("-inf")
    if not mask.is_floating_point() or bool((mask.masked_fill(hidden, 0) != 0).any()):
        raise ValueError(
            f"{name} must be boolean, or floating point with 0 and -inf only: a mixer "
            f"has no scores to add other numbers to; got {mask.dtype}"
        )
    return hidden


def check_mask(mask: Tensor | None, hint: bool, causal: bool, length: int) -> None:
    """ValueError unless attn_mask says what the mixer does anyway."""
    leaks = hint and not causal
    if mask is not None and not leaks:
        hidden = masked("attn_mask", mask)
        if hidden.shape[-2:] != (length, length):
            raise ValueError(
                f"attn_mask must end in (L, L) = ({length}, {length}); "
                f"got {tuple(mask.shape)}"
            )
        future = torch.ones_like(hidden).triu(1)
        if bool((hidden == (future if causal else False)).all()):
            return
        leaks = not causal and bool((hidden == future).all())
        if not leaks:
            raise ValueError(
                f"attn_mask must be {'the causal mask or ' if causal else ''}None: a "
                "mixer cannot leave out single pairs of positions"
            )
    if leaks:
        raise ValueError(
            "a causal mask, but this mixer is two-sided and would read the future; "
            "replace the attention with causal=True"
        )
