"""Sampling: one token at a time, as an iterator, so that text streams as it is written.

B batch, T tokens so far, V vocabulary.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from minihyena.errors import choose
from minihyena.mixer import DECODERS, State
from minihyena.tokenizers import Tokenizer

__all__ = ["decoders_of", "draw", "sample", "sample_text"]

UNFINISHED = "\N{REPLACEMENT CHARACTER}"  # perhaps the first bytes of a character


def sample(
    model: nn.Module,
    ids: Tensor | Sequence[Tensor],
    length: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
    stop: Callable[[Tensor], bool] | None = None,
    slide: bool = False,
    decoder: str | None = None,
) -> Iterator[Tensor]:
    """Continue the prompt `ids` (B, T >= 1): yields `length` times the next ids (B,).

    Prompts of different lengths are a list of ids (T,). The shorter ones are continued
    while the longer ones are still being read; the first ids come when all are.

    `decoder` says how, not what: all give the same tokens, up to rounding.
    "recompute" reads the whole sequence for every token, O(T log T) each; "online"
    remembers what it needs, the keys and values of attention or the running
    convolutions of Hyena; "recurrent" does so in memory that does not grow, in models
    that can (as LanguageModel.distill makes them). None: the first of `decoders_of`.

    Ends early once `stop(new ids so far (B, k))` is true. A model with
    `config.max_length` reads no more than that: with `slide` it then forgets the oldest
    quarter of it, without it that is an error.

    Raises ValueError for an empty prompt, a prompt and length that exceed max_length
    without `slide`, temperature, top_k or top_p out of range, and a decoder that the
    model has not; before any token.
    Logits beyond `config.vocab_size` are padding of the vocabulary and never drawn.
    """
    rows = [*ids]
    shapes = [tuple(getattr(row, "shape", ())) for row in rows]
    if not rows or any(len(shape) != 1 or 0 in shape for shape in shapes):
        shape = tuple(ids.shape) if isinstance(ids, Tensor) else shapes
        raise ValueError(
            "the prompt must be ids (B, T), or a list of ids (T,), with at least one "
            f"token; got {shape}"
        )
    _check_choices(length, temperature, top_k, top_p)
    config = getattr(model, "config", None)
    limit, vocabulary = (
        getattr(config, name, None) for name in ("max_length", "vocab_size")
    )
    longest = max(map(len, rows))
    if limit is not None and not slide and longest + length > limit:
        raise ValueError(
            f"a prompt of {longest} and {length} new tokens exceed max_length = "
            f"{limit}; ask for {max(limit - longest, 0)} or pass slide=True to "
            "forget the oldest"
        )
    reader = _Reader(model, _chosen(model, decoder), limit)

    def tokens() -> Iterator[Tensor]:
        ends = torch.tensor([len(row) for row in rows], device=rows[0].device)
        prompts = pad_sequence(rows, batch_first=True)
        text = prompts[:, : int(ends.min())]
        for t in range(text.shape[1], longest + length):
            logits = reader.next_logits(text, longest + length - t - 1)
            new = draw(logits[:, :vocabulary], temperature, top_k, top_p, generator)
            if t < longest:
                new = torch.where(t < ends, prompts[:, t], new)
            text = torch.cat([text, new[:, None]], dim=1)
            if t >= longest:
                first = t - longest if stop is None else 0  # `stop` looks at all
                count = torch.arange(first, t - longest + 1, device=ends.device)
                written = text.gather(1, ends[:, None] + count)
                yield written[:, -1]
                if stop is not None and stop(written):
                    return

    return tokens()


def decoders_of(model: nn.Module) -> tuple[str, ...]:
    """What `sample` may use, fastest first; "recompute" works with every model."""
    return (*getattr(model, "decoders", ()), "recompute")


def _chosen(model: nn.Module, decoder: str | None) -> str:
    known = decoders_of(model)
    if decoder is None or decoder in known:
        return decoder or known[0]
    choose("decoder", decoder, (*DECODERS, "recompute"))
    raise ValueError(
        f"this model has no decoder {decoder!r}, only {', '.join(known)}; a Hyena "
        "model gets a recurrent one from LanguageModel.distill(order)"
    )


class _Reader:
    """Finds the logits of the next token, and remembers what its decoder needs."""

    def __init__(self, model: Any, decoder: str, limit: int | None) -> None:
        self.model, self.decoder, self.limit = model, decoder, limit
        self.modules = [*model.modules()]
        self.state: State | None = None
        self.first = 0  # how many of the oldest tokens are forgotten

    def next_logits(self, text: Tensor, more: int) -> Tensor:
        """All tokens so far (B, T), `more` to come after the next -> logits (B, V)."""
        first = self._forgotten(text.shape[1])
        with self._evaluating():
            if self.decoder == "recompute":
                logits: Tensor = self.model(text[:, first:])[:, -1]
            elif self.state is None or first != self.first:
                steps = text.shape[1] - first + more
                steps = steps if self.limit is None else min(steps, self.limit)
                logits, self.state = self.model.prefill(
                    text[:, first:], steps, self.decoder
                )
            else:
                logits, self.state = self.model.step(text[:, -1], self.state)
        self.first = first
        return logits

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        """No gradients, evaluation mode; afterwards every module is as it was."""
        training = [module for module in self.modules if module.training]
        if training:
            self.model.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            for module in training:
                module.training = True

    def _forgotten(self, length: int) -> int:
        """A quarter of the limit at a time, as often as it takes."""
        if self.limit is None or length <= self.limit:
            return 0
        some = max(1, self.limit // 4)
        return -(-(length - self.limit) // some) * some


def sample_text(
    model: nn.Module,
    tokenizer: Tokenizer,
    prompt: str | Sequence[str],
    length: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
    stop: str | Sequence[str] | None = None,
    slide: bool = True,
    decoder: str | None = None,
) -> Iterator[Any]:
    """Continue the text `prompt` by `length` tokens, piece by piece as they are drawn.

    Yields str; for several prompts, lists of str, one for each. A text ends after the
    token that completes one of the `stop` strings in what is new. See `sample`; a piece
    may be empty where a character needs several byte tokens, and where a text has ended
    before others. Raises as `sample`, and ValueError for an empty prompt or stop.
    """
    prompts = [prompt] if isinstance(prompt, str) else prompt
    if "" in prompts:
        raise ValueError("a prompt is empty; there must be a character to go on from")
    device = next(model.parameters()).device
    stream = sample(
        model,
        [tokenizer.encode(text).to(device) for text in prompts],
        length,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        generator=generator,
        slide=slide,
        decoder=decoder,
    )
    stops = [stop] if isinstance(stop, str) else [*(stop or [])]
    if "" in stops:
        raise ValueError("a stop string needs at least one character")
    writers = [_Writer(tokenizer, stops) for _ in prompts]

    def pieces() -> Iterator[list[str]]:
        for tokens in stream:
            pairs = zip(writers, tokens.tolist(), strict=True)
            yield [writer.add(token) for writer, token in pairs]
            if all(writer.done for writer in writers):
                return
        if any(rest := [writer.rest() for writer in writers]):
            yield rest

    return (texts[0] for texts in pieces()) if isinstance(prompt, str) else pieces()


class _Writer:
    """Turns tokens into text as soon as they are whole characters."""

    def __init__(self, tokenizer: Tokenizer, stops: Sequence[str]) -> None:
        self.tokenizer, self.stops = tokenizer, stops
        self.reach = max(map(len, stops), default=1) - 1  # of a stop, into what was
        self.tokens: list[int] = []  # not yet written
        self.tail = ""  # of what is written
        self.done = False

    def add(self, token: int) -> str:
        """What has become readable with this token."""
        if self.done:
            return ""
        self.tokens.append(token)
        text = self.tokenizer.decode(self.tokens)
        seen = self.tail + text
        self.done = any(stop in seen for stop in self.stops)
        if text.endswith(UNFINISHED) and not self.done:
            return ""
        self.tail = seen[len(seen) - min(self.reach, len(seen)) :]
        return self.rest()

    def rest(self) -> str:
        """What has not been written yet."""
        text = self.tokenizer.decode(self.tokens)
        self.tokens = []
        return text


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
    if torch.tensor(temperature, dtype=logits.dtype) == 0:  # or is rounded to it
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
