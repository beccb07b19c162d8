"""Sampling: draws follow the model's probabilities and arrive one at a time."""

import math
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from scipy import stats
from torch import Tensor, nn

from minihyena import LanguageModel, LMConfig, generation, mixers, sample, sample_text
from minihyena.corpora import ByteTokenizer, CharacterTokenizer
from minihyena.generation import _Writer, decoders_of, draw

PROBABILITIES = torch.tensor([0.05, 0.4, 0.1, 0.25, 0.2])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def build(mixer: str = "hyena", **options: Any) -> LanguageModel:
    sizes = {"vocab_size": 5, "max_length": 16, "width": 8, "depth": 1} | options
    return LanguageModel(LMConfig(mixer=mixer, **sizes), seeded())


class Fixed(nn.Module):
    """Always the same probabilities; remembers what it was shown."""

    def __init__(self, probabilities: Tensor = PROBABILITIES) -> None:
        super().__init__()
        self.logits = nn.Parameter(probabilities.log())
        self.seen: list[Tensor] = []

    def forward(self, ids: Tensor) -> Tensor:
        self.seen.append(ids)
        return self.logits.expand(*ids.shape, -1)


class Successor(nn.Module):
    """After token i comes i + 1, for certain; the vocabulary is a ring."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.table = nn.Parameter(100 * torch.eye(vocab_size).roll(1, dims=1))

    def forward(self, ids: Tensor) -> Tensor:
        return self.table[ids]


def prompt(*ids: int) -> Tensor:
    return torch.tensor([ids or (0,)])


def frequencies(**choices: Any) -> Tensor:
    logits = PROBABILITIES.log().expand(20_000, -1)
    return draw(logits, generator=seeded(), **choices).bincount(minlength=5)


# The draw


@pytest.mark.parametrize(
    ("choices", "kept", "temperature"),
    [
        ({}, [0, 1, 2, 3, 4], 1.0),
        ({"temperature": 0.5}, [0, 1, 2, 3, 4], 0.5),
        ({"temperature": 3.0}, [0, 1, 2, 3, 4], 3.0),
        ({"top_k": 1}, [1], 1.0),
        ({"top_k": 3}, [1, 3, 4], 1.0),
        ({"top_k": 5}, [0, 1, 2, 3, 4], 1.0),
        ({"top_k": 99}, [0, 1, 2, 3, 4], 1.0),
        ({"top_p": 0.3}, [1], 1.0),  # the first reaches it alone
        ({"top_p": 0.5}, [1, 3], 1.0),
        ({"top_p": 0.7}, [1, 3, 4], 1.0),
        ({"top_p": 0.9}, [1, 2, 3, 4], 1.0),
        ({"top_p": 1.0}, [0, 1, 2, 3, 4], 1.0),
        ({"top_k": 3, "top_p": 0.6}, [1, 3], 1.0),  # of what top_k leaves
        ({"top_k": 3, "temperature": 2.0}, [1, 3, 4], 2.0),
        ({"top_p": 0.5, "temperature": 2.0}, [1, 3], 2.0),
    ],
)
def test_draws_follow_the_probabilities_that_are_left(
    choices: dict[str, Any], kept: list[int], temperature: float
) -> None:
    expected = torch.zeros(5)
    expected[kept] = PROBABILITIES[kept] ** (1 / temperature)
    expected /= expected.sum()
    found = frequencies(**choices)
    assert found[expected == 0].sum() == 0
    likely = expected > 0
    if likely.sum() > 1:
        test = stats.chisquare(
            found[likely], 20_000 * expected[likely], sum_check=False
        )
        assert test.pvalue > 1e-3


def test_temperature_zero_takes_the_likeliest() -> None:
    assert frequencies(temperature=0).tolist() == [0, 20_000, 0, 0, 0]


@pytest.mark.parametrize("temperature", [1e-50, 1e-38, 1e-30, 1e-6])
def test_a_temperature_near_zero_is_nearly_zero(temperature: float) -> None:
    assert frequencies(temperature=temperature)[1] == 20_000
    rows = torch.tensor([[3e4, 2e4, -3e4], [-6e4, 0.0, -1.0]] * 9)
    for dtype in (torch.float16, torch.float32, torch.float64):
        draws = draw(rows.to(dtype), temperature, generator=seeded())
        assert draws.tolist() == [0, 1] * 9


def test_top_p_takes_no_more_than_it_needs() -> None:
    halves = torch.tensor([[0.5, 0.25, 0.25]] * 99).log()
    assert draw(halves, top_p=0.5, generator=seeded()).unique().tolist() == [0]
    assert draw(halves, top_p=0.51, generator=seeded()).unique().numel() > 1


def test_what_is_asked_for_reaches_every_draw() -> None:
    model, ids = Fixed(), prompt(0, 1)

    def text(**options: Any) -> list[int]:
        return torch.cat(
            [*sample(model, ids, 99, generator=seeded(), **options)]
        ).tolist()

    greedy = text(temperature=0)
    assert text(top_k=1) == text(top_p=1e-9) == greedy != text()
    assert text() == text(temperature=1.0) != text(temperature=2.0)
    assert text() == text(top_p=1.0)


def test_top_k_keeps_k_even_among_equals() -> None:
    draws = draw(torch.zeros(2000, 6), top_k=2, generator=seeded())
    assert len(draws.unique()) == 2


def test_every_row_draws_from_its_own_logits() -> None:
    logits = torch.full((4, 4), -100.0) + 200 * torch.eye(4)
    for choices in ({}, {"top_k": 2}, {"top_p": 0.9}, {"temperature": 0.0}):
        assert draw(logits, **choices).tolist() == [0, 1, 2, 3]


# The iterator


@pytest.mark.parametrize("mixer", mixers)
def test_each_token_follows_the_whole_text_before_it(mixer: str) -> None:
    model, ids = build(mixer), torch.randint(5, (3, 4), generator=seeded())
    new = torch.stack([*sample(model, ids, 8, temperature=0)], dim=1)
    whole = torch.cat([ids, new], dim=1)
    with torch.no_grad():
        expected = model(whole)[:, 3:-1].argmax(-1)
    assert torch.equal(new, expected)


def test_the_same_generator_gives_the_same_tokens() -> None:
    def run(seed: int) -> list[int]:
        model, g = build(max_length=64), seeded(seed)
        return [int(t) for t in sample(model, prompt(), 40, generator=g)]

    assert run(1) == run(1) != run(2)


def test_two_streams_in_turn_do_not_disturb_each_other() -> None:
    model = build(max_length=64)

    def stream(seed: int) -> Iterator[Tensor]:
        return sample(model, prompt(seed), 20, generator=seeded(seed))

    alone = [[*stream(1)], [*stream(2)]]
    together = [*zip(*zip(stream(1), stream(2), strict=True), strict=True)]
    assert [list(s) for s in together] == alone


def test_tokens_are_drawn_only_when_asked_for() -> None:
    model = Fixed()
    stream = sample(model, prompt(), 10**9, generator=seeded())
    assert model.seen == []
    assert len([*islice(stream, 3)]) == 3
    assert [ids.shape[1] for ids in model.seen] == [1, 2, 3]


def test_length_zero_draws_nothing() -> None:
    assert [*sample(Fixed(), prompt(), 0)] == []


def test_it_stops_after_the_token_that_completes_the_condition() -> None:
    def three_in_a_row(ids: Tensor) -> bool:
        return ids[0, -3:].tolist() == [4, 5, 6]

    tokens = sample(Successor(9), prompt(0), 100, temperature=0, stop=three_in_a_row)
    assert [int(t) for t in tokens] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("training", [True, False])
def test_grad_mode_and_training_mode_are_the_callers_between_tokens(
    training: bool,
) -> None:
    model = build(dropout=0.5).train(training)
    modes = []
    model.register_forward_hook(
        lambda *_: modes.append((model.training, torch.is_grad_enabled()))
    )
    for token in sample(model, prompt(), 3, generator=seeded()):
        assert model.training is training
        assert torch.is_grad_enabled()
        assert not token.requires_grad
    assert modes == [(False, False)] * 3


def test_an_error_in_the_model_leaves_its_mode_alone() -> None:
    model = build().train()
    with pytest.raises(ValueError, match="ids run from 77"):
        next(sample(model, prompt(77), 1))
    assert model.training


def test_the_prompt_is_left_as_it_was() -> None:
    ids = prompt(1, 2)
    list(sample(Fixed(), ids, 5, generator=seeded()))
    assert ids.tolist() == [[1, 2]]


def test_a_sliding_window_forgets_the_oldest_tokens() -> None:
    model = Fixed()
    model.config = SimpleNamespace(max_length=4)
    tokens = torch.cat(
        [*sample(model, prompt(1, 2), 6, slide=True, generator=seeded())]
    )
    whole = [1, 2, *tokens.tolist()]
    shown = [ids[0].tolist() for ids in model.seen]
    assert shown == [whole[max(0, t - 4) : t] for t in range(2, 8)]


@pytest.mark.parametrize("mixer", ["hyena", "attention", "gru"])
def test_a_sliding_window_forgets_a_quarter_at_a_time(mixer: str) -> None:
    """So that what is remembered is made anew now and then, not for every token."""
    model = build(mixer, max_length=16).double()
    calls: list[int] = []
    model.prefill, prefill = (  # type: ignore[method-assign]
        lambda ids, *rest: calls.append(ids.shape[1]) or prefill(ids, *rest),
        model.prefill,
    )
    for temperature in (0, 1):
        one, other = (
            torch.cat(
                [
                    *sample(
                        model,
                        prompt(1, 2),
                        60,
                        temperature=temperature,
                        generator=seeded(),
                        slide=True,
                        decoder=decoder,
                    )
                ]
            )
            for decoder in ("online", "recompute")
        )
        assert torch.equal(one, other)
        assert calls == [2, *[13] * 12]
        calls.clear()
        whole = torch.cat([prompt(1, 2)[0], one])
        for t in range(2, 62):
            first = 4 * max(0, math.ceil((t - 16) / 4))
            with torch.no_grad():
                logits = model(whole[None, first:t])[0, -1]
            assert temperature or whole[t] == logits.argmax()


def test_a_long_prompt_slides_too() -> None:
    assert len([*sample(build(), torch.zeros(1, 40).long(), 3, slide=True)]) == 3


def test_up_to_max_length_nothing_need_slide() -> None:
    assert len([*sample(build(), prompt(1, 2), 14)]) == 14


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ids": torch.zeros(1, 0).long()}, r"at least one token; got \(1, 0\)"),
        ({"ids": torch.zeros(0, 3).long()}, r"at least one token; got \(0, 3\)"),
        ({"ids": torch.zeros(3).long()}, r"ids \(B, T\), .* got \(3,\)"),
        ({"ids": [1, 2, 3]}, r"a list of ids \(T,\), .* got \[\(\), \(\), \(\)\]"),
        ({"length": -1}, "number of new tokens; got -1"),
        ({"length": 16}, "1 and 16 new tokens exceed max_length = 16; ask for 15 or"),
        ({"ids": torch.zeros(1, 99).long()}, "prompt of 99 .* ask for 0 or .* slide"),
        ({"temperature": -0.1}, "temperature .* got -0.1"),
        ({"temperature": math.nan}, "temperature .* got nan"),
        ({"temperature": math.inf}, "temperature .* got inf"),
        ({"top_k": 0}, "top_k must be at least 1; got 0"),
        ({"top_p": 0.0}, "0 < top_p <= 1; got 0.0"),
        ({"top_p": 1.1}, "0 < top_p <= 1; got 1.1"),
    ],
)
def test_an_impossible_wish_is_refused_before_any_token(
    options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):  # at the call, not at the first token
        sample(build(), **({"ids": prompt(), "length": 3} | options))


# Prompts of different lengths


@pytest.mark.parametrize("decoder", ["online", "recompute"])
@pytest.mark.parametrize("mixer", mixers)
def test_prompts_of_different_lengths_are_continued_as_each_would_be_alone(
    mixer: str, decoder: str
) -> None:
    model = build(mixer, max_length=40).double()
    rows = [torch.randint(5, (n,), generator=seeded(n)) for n in (7, 1, 20, 7)]
    new = torch.stack([*sample(model, rows, 12, temperature=0, decoder=decoder)], dim=1)
    for row, text in zip(rows, new, strict=True):
        whole = torch.cat([row, text])
        with torch.no_grad():
            expected = model(whole[None])[0, len(row) - 1 : -1].argmax(-1)
        assert torch.equal(text, expected)


def test_the_first_tokens_come_when_all_prompts_are_read() -> None:
    model, rows = Successor(50), [torch.tensor([3]), torch.tensor([20, 21, 22])]
    stream = sample(model, rows, 4, temperature=0)
    assert [tokens.tolist() for tokens in stream] == [[k, 19 + k] for k in (4, 5, 6, 7)]


def test_a_stop_sees_what_is_new_in_every_row() -> None:
    rows = [torch.tensor([3]), torch.tensor([20, 21, 22])]
    seen: list[list[list[int]]] = []

    def stop(new: Tensor) -> bool:
        seen.append(new.tolist())
        return new.shape[1] == 2

    assert len([*sample(Successor(50), rows, 9, temperature=0, stop=stop)]) == 2
    assert seen == [[[4], [23]], [[4, 5], [23, 24]]]


def test_the_longest_prompt_counts_for_the_limit() -> None:
    rows = [torch.zeros(2).long(), torch.zeros(12).long()]
    assert len([*sample(build(), rows, 4)]) == 4
    with pytest.raises(ValueError, match=r"prompt of 12 and 5 .* ask for 4 or"):
        sample(build(), rows, 5)
    for bad in ([], [torch.zeros(0).long(), torch.zeros(3).long()]):
        with pytest.raises(ValueError, match="at least one token; got"):
            sample(build(), bad, 1)


# Decoders


def test_the_default_decoder_is_the_fastest_that_there_is() -> None:
    assert decoders_of(Fixed()) == ("recompute",)
    assert decoders_of(build("hyena")) == ("online", "recompute")
    assert decoders_of(build("gru")) == ("recurrent", "online", "recompute")
    model, asked = build("gru"), []
    prefill = model.prefill
    model.prefill = lambda *a: asked.append(a[2]) or prefill(*a)  # type: ignore[method-assign, func-returns-value, assignment]
    [*sample(model, prompt(), 3)]
    assert asked == ["recurrent"]


def test_a_model_is_read_once_and_then_step_by_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[tuple[str, tuple[int, ...]]] = []
    asked: list[Any] = []

    def watch(name: str) -> None:
        method = getattr(LanguageModel, name)

        def watched(self: Any, ids: Tensor, *rest: Any) -> Any:
            calls.append((name, tuple(ids.shape)))
            asked.extend(rest if name == "prefill" else [])
            return method(self, ids, *rest)

        monkeypatch.setattr(LanguageModel, name, watched)

    for name in ("forward", "prefill", "step"):
        watch(name)
    [*sample(build(), prompt(1, 2, 3), 4)]
    assert calls == [("prefill", (1, 3)), *[("step", (1,))] * 3]
    assert asked == [6, "online"]  # memory for what will be read, and no more


@pytest.mark.parametrize(
    ("decoder", "words"),
    [
        (
            "recurrent",
            "no decoder 'recurrent', only online, recompute; a Hyena model gets a "
            r"recurrent one from LanguageModel\.distill",
        ),
        ("onlin", "unknown decoder 'onlin'; known, nearest first: online, .*recompute"),
    ],
)
def test_a_decoder_that_the_model_has_not_is_refused_at_the_call(
    decoder: str, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        sample(build(), prompt(), 3, decoder=decoder)


# Text

LETTERS = CharacterTokenizer("abcdefghij")


def test_text_streams_piece_by_piece() -> None:
    pieces = sample_text(Successor(10), LETTERS, "c", 5, temperature=0)
    assert next(pieces) == "d"
    assert [*pieces] == ["e", "f", "g", "h"]


def test_text_ends_after_the_first_stop_in_what_is_new() -> None:
    pieces = sample_text(Successor(10), LETTERS, "abc", 99, temperature=0, stop="bc")
    assert "".join(pieces) == "defghijabc"


@pytest.mark.parametrize("stops", [["xx", "bc"], ("hij", "bc", "ja"), {"bc": 1}])
def test_text_ends_after_whichever_stop_comes_first(stops: Any) -> None:
    pieces = sample_text(Successor(10), LETTERS, "abc", 99, temperature=0, stop=stops)
    assert "".join(pieces) == ("defghij" if "hij" in stops else "defghijabc")


def test_several_texts_stream_side_by_side_and_end_on_their_own() -> None:
    prompts = ["abc", "h", "ab"]
    pieces = [
        *sample_text(Successor(10), LETTERS, prompts, 99, temperature=0, stop="bc")
    ]
    assert pieces[0] == ["d", "i", "c"]
    assert ["".join(text) for text in zip(*pieces, strict=True)] == [
        "defghijabc", "ijabc", "cdefghijabc",
    ]  # fmt: skip
    assert len(pieces) == 11
    assert pieces[-1] == ["", "", "c"]


def test_a_stop_may_lie_across_any_pieces() -> None:
    for stop in ("d", "de", "cdefghija", "ijabcdefghijab"):
        pieces = sample_text(
            Successor(10), LETTERS, "c", 99, temperature=0, stop=["zz", stop]
        )
        text = "defghijabcdefghijabcdefghij"
        assert "".join(pieces) == text[: text.index(stop) + len(stop)]
    with pytest.raises(ValueError, match="at least one character"):
        sample_text(Successor(10), LETTERS, "c", 9, stop="")


def test_several_texts_in_bytes_come_out_whole() -> None:
    model = Reciting(list("é€".encode()))
    pieces = [*sample_text(model, ByteTokenizer(), ["x", "y"], 4, temperature=0)]
    assert pieces == [["", ""], ["é", "é"], ["", ""], ["", ""], ["\ufffd", "\ufffd"]]


def test_text_slides_beyond_max_length_unless_told_not_to() -> None:
    model = build(vocab_size=10)
    assert len("".join(sample_text(model, LETTERS, "abc", 30))) == 30
    with pytest.raises(ValueError, match="max_length = 16"):
        sample_text(model, LETTERS, "abc", 30, slide=False)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.3},
        {"top_k": 2},
        {"top_p": 0.4},
        {"decoder": "recompute"},
        {"decoder": "online"},
        {},
    ],
    ids=str,
)
def test_a_text_is_drawn_as_its_tokens_are(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = build(max_length=80), CharacterTokenizer("abcde")
    used: list[str] = []
    monkeypatch.setattr(
        generation, "_chosen", lambda *given: used.append(given[1]) or "online"
    )
    ids = torch.tensor([[0, 1, 2]])
    tokens = sample(model, ids, 50, generator=seeded(4), **options)
    text = tokenizer.decode(torch.cat([*tokens]))
    pieces = sample_text(model, tokenizer, "abc", 50, generator=seeded(4), **options)
    assert "".join(pieces) == text
    assert len({*text}) > 1
    assert used == 2 * [options.get("decoder")]


def test_nothing_ends_a_text_before_it_has_begun() -> None:
    writer = _Writer(CharacterTokenizer("Xa"), ["Xa", "XXXa"])
    assert [writer.add(token) for token in (1, 0, 1)] == ["a", "X", "a"]
    assert writer.done
    model, tokenizer = build(), CharacterTokenizer("abcdX")
    pieces = sample_text(model, tokenizer, "aXX", 9, stop="X", temperature=0)
    assert len("".join(pieces)) >= 1
    with pytest.raises(ValueError, match=r"^a stop string needs at least one char"):
        sample_text(model, tokenizer, "a", 9, stop=["X", ""])


def test_an_empty_prompt_is_refused_at_the_call() -> None:
    for prompt in ("", ["a", ""]):
        with pytest.raises(ValueError, match="a prompt is empty; there must be a char"):
            sample_text(build(vocab_size=10), LETTERS, prompt, 3)


def test_a_stranger_in_the_prompt_is_refused_at_the_call() -> None:
    with pytest.raises(ValueError, match="character 'z' at position 1"):
        sample_text(build(vocab_size=10), LETTERS, "az", 3)


class Reciting(nn.Module):
    """Recites these ids, whatever it is shown, after a prompt of one token."""

    def __init__(self, ids: list[int]) -> None:
        super().__init__()
        self.table = nn.Parameter(100 * torch.eye(256)[[*ids, 0]])

    def forward(self, ids: Tensor) -> Tensor:
        return self.table[None, : ids.shape[1]].expand(len(ids), -1, -1)


def recite(data: bytes, **options: Any) -> list[str]:
    model = Reciting(list(data))
    options = {"temperature": 0} | options
    return [*sample_text(model, ByteTokenizer(), "x", len(data), **options)]


def test_a_character_of_several_bytes_comes_out_whole() -> None:
    assert recite("aé€😀b".encode()) == [
        *("a", "", "é", "", "", "€", "", "", "", "😀", "b")
    ]


def test_bytes_that_are_no_text_are_replaced_and_nothing_is_lost() -> None:
    assert "".join(recite(b"a\xffb\xe2\x82")) == "a\ufffdb\ufffd"


@pytest.mark.parametrize("mixer", mixers)
@examples(3)
@given(
    order=st.integers(1, 4),
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=3),
    new=st.integers(1, 12),
    temperature=st.sampled_from([0, 0.5, 1.0]),
    seed=st.integers(0, 999),
)
def test_any_prompts_are_continued_alike_by_every_decoder(
    mixer: str,
    order: int,
    lengths: list[int],
    new: int,
    temperature: float,
    seed: int,
) -> None:
    """Also beyond max_length, where the window slides."""
    model = build({"kind": mixer, "order": order} if mixer == "hyena" else mixer)
    ids = [torch.randint(5, (n,), generator=seeded(seed + n)) for n in lengths]

    def text(decoder: str) -> list[list[int]]:
        options: Any = {"temperature": temperature, "slide": True, "decoder": decoder}
        tokens = sample(model.double(), ids, new, generator=seeded(seed), **options)
        return torch.stack([*tokens], dim=1).tolist()

    known = decoders_of(model)
    assert [text(decoder) for decoder in known] == len(known) * [text("recompute")]


@examples(40)
@given(text=st.text(max_size=8), tail=st.binary(max_size=3))
def test_the_pieces_together_are_the_text(text: str, tail: bytes) -> None:
    data = text.encode() + tail
    assert "".join(recite(data)) == data.decode(errors="replace")


def test_a_replacement_character_before_the_stop_is_not_lost() -> None:
    text = "a\N{REPLACEMENT CHARACTER}"
    assert "".join(recite(text.encode() + b"bc", stop=text)) == text


def test_sampled_text_has_the_models_frequencies() -> None:
    class Letters(Fixed):
        def forward(self, ids: Tensor) -> Tensor:
            return super().forward(ids)[:, -1:]

    tokenizer = CharacterTokenizer("abcde")
    text = "".join(sample_text(Letters(), tokenizer, "a", 1000, generator=seeded()))
    counts = Counter(text)
    found = [counts[c] for c in "abcde"]
    assert stats.chisquare(found, 1000 * PROBABILITIES, sum_check=False).pvalue > 1e-3
