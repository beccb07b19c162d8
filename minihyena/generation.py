"""Sampling: one token at a time, as an iterator, so that text streams as it is written.

B batch, T tokens so far, V vocabulary.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from minihyena.corpora import Tokenizer

__all__ = ["draw", "sample", "sample_text"]


def sample(
    model: nn.Module,
    ids: Tensor,
    length: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
    stop: Callable[[Tensor], bool] | None = None,
    slide: bool = False,
) -> Iterator[Tensor]:
    """Continue the prompt `ids` (B, T >= 1): yields `length` times the next ids (B,).

    Every token recomputes the whole sequence, which costs O(T log T) each. Ends early
    once `stop(ids so far)` is true. A model with `config.max_length` reads no more than
    that: with `slide` it forgets the oldest tokens, without it that is an error.

    Raises ValueError for an empty prompt, a prompt and length that exceed max_length
    without `slide`, and temperature, top_k or top_p out of range; before any token.
    Logits beyond `config.vocab_size` are padding of the vocabulary and never drawn.
    """
    if ids.dim() != 2 or 0 in ids.shape:
        raise ValueError(
            "the prompt must be ids (B, T) with at least one token; "
            f"got {tuple(ids.shape)}"
        )
    _check_choices(length, temperature, top_k, top_p)
    config = getattr(model, "config", None)
    limit, vocabulary = (
        getattr(config, name, None) for name in ("max_length", "vocab_size")
    )
    if limit is not None and not slide and ids.shape[1] + length > limit:
        raise ValueError(
            f"a prompt of {ids.shape[1]} and {length} new tokens exceed max_length = "
            f"{limit}; ask for {max(limit - ids.shape[1], 0)} or pass slide=True to "
            "forget the oldest"
        )

    def tokens(ids: Tensor) -> Iterator[Tensor]:
        for _ in range(length):
            logits = _next_logits(model, ids if limit is None else ids[:, -limit:])
            new = draw(logits[:, :vocabulary], temperature, top_k, top_p, generator)
            ids = torch.cat([ids, new[:, None]], dim=1)
            yield new
            if stop is not None and stop(ids):
                return

    return tokens(ids)


def sample_text(
    model: nn.Module,
    tokenizer: Tokenizer,
    prompt: str,
    length: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
    stop: str | None = None,
    slide: bool = True,
) -> Iterator[str]:
    """Continue the text `prompt` by `length` tokens, piece by piece as they are drawn.

    Ends after the first `stop` in the new text. See `sample`; a piece may be empty
    where a character needs several byte tokens.
    """
    ids = tokenizer.encode(prompt)[None]
    start = ids.shape[1]
    ids = ids.to(next(model.parameters()).device)

    def stops(ids: Tensor) -> bool:
        return stop is not None and stop in tokenizer.decode(ids[0, start:])

    stream = sample(
        model,
        ids,
        length,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        generator=generator,
        stop=stops,
        slide=slide,
    )

    def pieces() -> Iterator[str]:
        new: list[int] = []
        written = ""
        for token in stream:
            new.append(int(token))
            text = tokenizer.decode(new)
            if text.endswith("\N{REPLACEMENT CHARACTER}"):
                yield ""  # perhaps the first bytes of a character
                continue
            yield text[len(written) :]
            written = text
        if rest := tokenizer.decode(new)[len(written) :]:
            yield rest

    return pieces()


def draw(
    logits: Tensor,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """logits (B, V) -> ids (B,): a draw from softmax(logits / temperature).

    `top_k` keeps the k likeliest; `top_p` the fewest that together reach p. Temperature
    0 takes the likeliest (arXiv 1904.09751 for top_p).
    """
    if temperature == 0:
        return logits.argmax(-1)
    # The largest becomes 0, so that no low temperature leads beyond the numbers.
    logits = (logits - logits.amax(-1, keepdim=True)) / temperature
    if top_k is not None and top_k < logits.shape[-1]:
        best = logits.topk(top_k)
        nothing = torch.full_like(logits, float("-inf"))
        logits = nothing.scatter(-1, best.indices, best.values)
    if top_p is not None:
        ordered, order = logits.softmax(-1).sort(descending=True)
        before = ordered.cumsum(-1) - ordered  # what the likelier ones already reach
        dropped = torch.zeros_like(before, dtype=torch.bool)
        dropped.scatter_(-1, order, before >= top_p)
        logits = logits.masked_fill(dropped, float("-inf"))
    chances = logits.softmax(-1)
    if generator is not None:  # a draw happens where its generator is
        chances = chances.to(generator.device)
    drawn = torch.multinomial(chances, 1, generator=generator)[:, 0]
    return drawn.to(logits.device)


@torch.no_grad()
def _next_logits(model: nn.Module, ids: Tensor) -> Tensor:
    was_training = model.training
    model.eval()
    try:
        logits: Tensor = model(ids)[:, -1]
    finally:
        model.train(was_training)
    return logits


def _check_choices(
    length: int, temperature: float, top_k: int | None, top_p: float | None
) -> None:
    if length < 0:
        raise ValueError(f"length is the number of new tokens; got {length}")
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature must be finite, 0 or above; got {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1; got {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p is a probability, 0 < top_p <= 1; got {top_p}")
