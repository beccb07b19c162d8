"""What the matrix lens reads: a line somebody types, its tokens, what mixers get."""

from collections.abc import Callable
from typing import Any

import ipywidgets as W
from torch import Tensor

from minihyena.corpora import Tokenizer

__all__ = ["LARGEST", "TYPED", "Reading", "TextBox"]

TYPED, LARGEST = 64, 128  # most tokens of a text; most steps of a given u


class TextBox(W.Combobox):  # type: ignore[misc]
    """A line to type in; what was typed before is offered again."""

    def __init__(self, texts: tuple[str, ...]) -> None:
        super().__init__(
            value=texts[0],
            options=texts,
            description="Text",
            continuous_update=False,
            style={"description_width": "initial"},
            layout=W.Layout(width="min(100%, 640px)"),
        )

    @property
    def _options_full(self) -> tuple[tuple[str, str], ...]:
        offered: tuple[str, ...] = self.options
        return tuple((text, text) for text in offered)

    def remember(self) -> None:
        """Offer what stands there now again later."""
        known: Any = self.options  # type: ignore[has-type]
        self.options = tuple(dict.fromkeys((*known, self.value)))


class Reading:
    """What models and mixers are shown.

    Models read ids (1, L), made from the text; mixers read u (1, L, D): a tensor, or
    what a function makes of the ids, such as `model.embedding`.
    Raises ValueError if there is neither a text with its tokenizer nor a tensor u.
    """

    def __init__(
        self,
        text: bool,
        tokenizer: Tokenizer | None,
        u: Tensor | Callable[..., Any] | None,
    ) -> None:
        self.tokenizer, self.u = tokenizer, u
        self.typed = not isinstance(u, Tensor)
        if self.typed != (text and tokenizer is not None) or text != self.typed:
            raise ValueError(
                "show models on text=... with their tokenizer=..., mixers on the same "
                "text with u=..., a function of the ids such as model.embedding, or on "
                "a tensor u=... of shape (1, L, D) without a text"
            )

    def tokens(self, text: str) -> tuple[Tensor | None, list[str]]:
        """ids (1, L), None without a text; and the words on the axes."""
        if isinstance(self.u, Tensor):
            if self.u.dim() != 3 or len(self.u) != 1 or self.u.shape[1] > LARGEST:
                raise ValueError(
                    f"u must be (1, L, D) with L <= {LARGEST}; "
                    f"got {tuple(self.u.shape)}"
                )
            return None, [str(t) for t in range(self.u.shape[1])]
        assert self.tokenizer is not None
        ids = self.tokenizer.encode(text)
        if not 1 <= len(ids) <= TYPED:
            raise ValueError(
                f"the text has {len(ids)} tokens; the lens takes 1 to {TYPED}"
            )
        words = [self.tokenizer.decode([i]) for i in ids.tolist()]
        return ids[None], [w.replace(" ", "␣").replace("\n", "⏎") for w in words]

    def input(self, name: str, ids: Tensor | None) -> Tensor:
        """The u (1, L, D) of the mixer of this name. Raises ValueError without one."""
        if isinstance(self.u, Tensor):
            return self.u
        if self.u is None:
            raise ValueError(
                f"{name!r} has no .blocks, so it reads numbers and no text: add u=..., "
                "a function of the ids such as u=model.embedding"
            )
        assert ids is not None
        made = self.u(ids)
        if (
            not isinstance(made, Tensor)
            or made.dim() != 3
            or made.shape[:2] != ids.shape
        ):
            got = tuple(made.shape) if isinstance(made, Tensor) else made
            raise ValueError(
                f"u(ids) made {got!r:.60} of ids {tuple(ids.shape)}; "
                f"it must be (1, {ids.shape[1]}, D)"
            )
        return made.detach()
