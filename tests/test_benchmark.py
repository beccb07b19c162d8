"""The benchmark measures what it says it measures."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from minihyena import HyenaConfig, benchmark, subjects
from minihyena.__main__ import main
from minihyena.benchmark import Row, Run


class Clock:
    """Time passes only when a subject says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[str] = []

    def __call__(self) -> float:
        return self.now

    def takes(self, name: str, *seconds: float) -> Callable[[], None]:
        left = iter(seconds)

        def call() -> None:
            self.calls.append(name)
            self.now += next(left)

        return call


def row(name: str, *seconds: float, **fields: object) -> Row:
    return dataclasses.replace(
        Row("conv", "forward", name, 1, 16, 64, seconds), **fields
    )


def test_in_every_round_each_subject_is_called_twice_and_timed_once() -> None:
    clock = Clock()
    calls = {"a": clock.takes("a", 9, 1, 9, 2), "b": clock.takes("b", 9, 4, 9, 5)}
    spent = benchmark.compare(calls, rounds=2, clock=clock)
    assert spent == {"a": (1, 2), "b": (4, 5)}
    assert [sorted(clock.calls[:4]), sorted(clock.calls[4:])] == [list("aabb")] * 2


def test_without_settling_every_call_counts() -> None:
    clock = Clock()
    spent = benchmark.compare({"a": clock.takes("a", 9, 1)}, 2, False, clock)
    assert spent == {"a": (9, 1)}


def test_no_subject_always_follows_the_same_one() -> None:
    clock = Clock()
    calls = {name: clock.takes(name, *range(20)) for name in "abc"}
    benchmark.compare(calls, rounds=20, settle=False, clock=clock)
    turns = {"".join(clock.calls[i : i + 3]) for i in range(0, 60, 3)}
    assert len(turns) == 6  # all orders of three


def test_a_ratio_is_taken_round_by_round() -> None:
    slow_machine_in_round_two = row("ours", 1, 10, 1), row("peer", 2, 20, 2)
    ours, peer = slow_machine_in_round_two
    assert benchmark.ratio(peer, ours) == (2, 2, 2)
    assert benchmark.ratio(row("peer", 1, 2, 4), row("ours", 1, 1, 1)) == (2, 1.5, 3)


def test_one_stall_moves_neither_median_nor_quartiles_far() -> None:
    timed = row("ours", 1, 1.1, 60, 1.2, 0.9)
    assert (timed.median, timed.low, timed.high) == (1.1, 1, 1.2)


@pytest.mark.parametrize("peer", [row("peer"), row("peer", 1, 2)])
def test_what_was_not_timed_in_turn_is_not_compared(peer: Row) -> None:
    with pytest.raises(ValueError, match=r"peer has \d rounds, ours 3"):
        benchmark.ratio(peer, row("ours", 1, 2, 3))


def test_no_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="rounds >= 1; got 0"):
        benchmark.compare({}, rounds=0)


@pytest.mark.parametrize("sampled", [False, True])
def test_the_peak_of_memory_is_what_a_call_takes_at_once(
    sampled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    mebi = 2**20

    def call() -> torch.Tensor:
        whole = torch.ones(48 * mebi // 4)
        half = whole[: 12 * mebi // 4] + 1  # 60 MiB now
        del whole
        for _ in range(20):  # long enough to be seen in samples
            half = half + 1
        return half

    if sampled:

        def none() -> int:
            raise OSError

        monkeypatch.setattr(benchmark, "_high_water", none)
    seen = benchmark.peak_bytes(call)
    assert seen is not None
    # Not 288, which is all that it takes, one after the other.
    assert (36 if sampled else 58) * mebi < seen < 150 * mebi


def test_a_run_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    rows = [
        row("minihyena", 0.00123456, 2.5, peak_bytes=10, flops=1e9),
        row("textbook", 1, 2),
        row("direct", note="it would take minutes"),
    ]
    run = benchmark.run(rows)
    path = tmp_path / "new" / "conv.json"
    benchmark.save(run, path)
    again = benchmark.load(path)
    assert again.rows[0].seconds == (0.001235, 2.5)  # four digits are kept
    rest = dataclasses.replace(again.rows[0], seconds=rows[0].seconds)
    assert dataclasses.replace(again, rows=(rest, *again.rows[1:])) == run
    assert again.threads == torch.get_num_threads()
    assert again.versions["torch"].startswith(torch.__version__.split("+")[0])
    assert not list(path.parent.glob("*.part"))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"rows": [{"name": "x"}]}', "\xff"])
def test_another_file_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match="does not hold a run"):
        benchmark.load(path)


def test_a_table_says_how_many_times_as_long_each_peer_takes() -> None:
    rows = [row("minihyena", 1, 1), row("textbook", 3, 3), row("x", note="not here")]
    head, ours, textbook, missing = benchmark.table(rows)
    assert "B = 1, D = 16, L = 64" in head
    assert "times as long" not in ours
    assert "3.00 times as long" in textbook
    assert "not here" in missing


def test_all_convolutions_that_are_timed_are_the_same_convolution() -> None:
    u, h = torch.randn(2, 3, 50), torch.randn(3, 50)
    calls = subjects.conv_subjects(u, h)
    assert {"minihyena", "textbook", "F.conv1d", "scipy oaconvolve"} <= set(calls)
    expected = calls["minihyena"]()
    for name, call in calls.items():
        y = torch.as_tensor(call())
        torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-4, msg=name)
    both = subjects.conv_subjects(u, h, "forward+backward")
    for name, call in both.items():
        for mine, theirs in zip(call(), both["minihyena"](), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4, msg=name)


def test_beyond_a_few_thousand_steps_the_quadratic_ones_are_left_out() -> None:
    u, h = torch.randn(1, 1, 5000), torch.randn(1, 5000)
    assert "F.conv1d" not in subjects.conv_subjects(u, h)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_the_textbook_operator_is_the_operator(order: int) -> None:
    operator = HyenaConfig(order=order).build(8, 64)
    u = torch.randn(2, 50, 8)
    y = subjects.textbook_operator(operator, u)
    torch.testing.assert_close(y, operator(u), rtol=1e-4, atol=1e-5)


def test_layers_and_their_mixing_are_timed_on_the_same_numbers() -> None:
    calls = subjects.layer_subjects(1, 8, 64)
    for name in ("textbook", subjects.KEPT):
        torch.testing.assert_close(
            calls[name](), calls["minihyena"](), rtol=1e-4, atol=1e-5
        )
    assert calls["attention"]().shape == calls["minihyena"]().shape
    mixing = subjects.mixing_subjects(1, 8, 64)
    torch.testing.assert_close(
        mixing[subjects.KEPT](), mixing["minihyena"](), rtol=1e-4, atol=1e-5
    )
    gradients = subjects.layer_subjects(1, 8, 64, "forward+backward")
    for mine, theirs in zip(
        gradients["minihyena"](), gradients["textbook"](), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("suite", subjects.SUITES)
def test_the_command_measures_and_writes(
    suite: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments = ["bench", suite, "--lengths", "32", "--width", "16", "--batch", "1"]
    arguments += ["--rounds", "5", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["minihyena", *arguments])
    monkeypatch.setattr(subjects, "NEW", 5)
    assert main(arguments) == 0
    run: Run = benchmark.load(tmp_path / f"{suite}.json")
    assert run.command == "python -m minihyena " + " ".join(arguments[:-2])
    assert {row.suite for row in run.rows} == {suite}
    assert all(len(row.seconds) == 5 and min(row.seconds) > 0 for row in run.rows)
    if suite != "generate":
        assert all(row.flops and row.peak_bytes is not None for row in run.rows)
    told = capsys.readouterr().out
    assert "times as long" in told
    assert str(tmp_path / f"{suite}.json") in told
    text = json.loads((tmp_path / f"{suite}.json").read_text())
    assert set(text) == {f.name for f in dataclasses.fields(Run)}


def test_a_call_of_many_units_is_timed_by_the_unit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: dict[str, Callable[[], object]] = {"one": list, "ten": list}
    spent = dict.fromkeys(calls, (3.0, 1.0, 2.0))
    monkeypatch.setattr(benchmark, "compare", lambda *_, **__: spent)
    one, ten = benchmark.measure("s", "t", (1, 1, 1), calls, 5, units={"ten": 10})
    assert one.seconds == (3.0, 1.0, 2.0)
    assert ten.seconds == pytest.approx((0.3, 0.1, 0.2))


def test_the_slowest_token_is_told_beside_the_mean(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subjects, "NEW", 70)  # beyond the first tile
    first, second = subjects.generate_rows(1, 8, [16], 5)
    mean = {row.name: row.seconds for row in first if row.task == "a token"}
    slowest = {row.name: row.seconds for row in first if row.task == "slowest token"}
    assert mean.keys() == slowest.keys() > {"minihyena", "recomputed"}
    assert all(min(slowest[name]) > 0 for name in mean)
    assert {row.task for row in second} == {"all tokens"}


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (["--rounds", "4"], "--rounds must be at least 5"),
        (["--lengths", "8", "0"], "must be positive"),
        (["--width", "-1"], "must be positive"),
        (["--batch", "0"], "must be positive"),
        (["--threads", "0"], "--threads must be 1 to "),
        (["--threads", "1000000000"], " here; got 1000000000"),
        (["--device", "abacus"], "unknown device 'abacus'; known"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    bad: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "conv", *bad]) == 1
    assert words in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["bench", "conv", "--out", str(tmp_path / "file")]) == 1
    captured = capsys.readouterr()
    assert "file" in captured.err
    assert captured.out == ""


def test_what_was_measured_before_an_interruption_is_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows(*sizes: object) -> Iterator[list[Row]]:
        yield [row("ours", 1, 2)]
        raise KeyboardInterrupt

    short = dataclasses.replace(subjects.SUITES["conv"], rows=rows)
    monkeypatch.setitem(subjects.SUITES, "conv", short)
    assert main(["bench", "conv", "--out", str(tmp_path)]) == 130
    assert benchmark.load(tmp_path / "conv.json").rows == (row("ours", 1, 2),)


def test_the_machine_is_described_without_its_name() -> None:
    import platform

    facts = benchmark.machine()
    assert facts["cores"] >= 1
    assert facts["memory_gib"] >= 1
    assert not platform.node() or platform.node() not in json.dumps(facts)
