"""A3, instrument the operator: its matrix, its causality, and what is evidence."""

from pathlib import Path

from minihyena.grading.a3.auditor import faint_leaks, finds, gated_leaks, open_leaks
from minihyena.grading.a3.matrix import (
    has_any_order,
    has_order_1,
    is_causal,
    keeps_rows_and_signs,
)
from minihyena.grading.a3.null import (
    honest_at_ties,
    keeps_stream_and_weights,
    shares_right,
)
from minihyena.grading.parts import (
    Assignment,
    Part,
    Property,
    Written,
    parameters_from,
)

__all__ = ["A3"]


A3 = Assignment(
    id="A3",
    title="Instrument the operator",
    parts=(
        Part(
            name="matrix",
            title="The matrix of any order",
            functions=("hyena_matrix",),
            properties=(
                Property(5, "order 1 is a convolution, then a gate", has_order_1),
                Property(7, "any order: H @ v is the recurrence", has_any_order),
                Property(5, "each sequence alone, signs kept", keeps_rows_and_signs),
                Property(3, "all that, and 0 right of the diagonal", is_causal),
            ),
        ),
        Part(
            name="auditor",
            title="An auditor that finds leaks and blames nobody",
            functions=("leaks",),
            properties=(
                Property(7, "clears the sound, finds open leaks", finds(open_leaks)),
                Property(7, "clears the sound, finds gated leaks", finds(gated_leaks)),
                Property(6, "clears the sound, finds faint leaks", finds(faint_leaks)),
            ),
            seconds=20.0,
        ),
        Part(
            name="null",
            title="A control with random weights",
            functions=("null_share",),
            properties=(
                Property(6, "the share, the trained model included", shares_right),
                Property(5, "never 0, and honest at ties", honest_at_ties),
                Property(
                    4,
                    "draws from the generator, keeps the trained weights",
                    keeps_stream_and_weights,
                ),
            ),
        ),
    ),
    written=(Written("channel", "One trained channel, explained", 45),),
    parameters=parameters_from(Path(__file__).parent.with_suffix(".toml")),
)
