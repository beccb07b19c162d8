"""A2, Hyena from the equations: filter, projection, recurrence, and its matrix.

The oracles take one number at a time, in float64. What is known to go wrong is taken
from notebooks 04 to 06, where these functions are built in other shapes.
B batch, L length, D width, N order.
"""

from pathlib import Path

from minihyena.grading.a2.dense import (
    gives_the_recurrence,
    matrix_has_gradients,
    one_stage_is_right,
    reads_nothing_later,
)
from minihyena.grading.a2.filter import (
    features_are_right,
    filter_is_right,
    network_is_right,
    window_is_right,
)
from minihyena.grading.a2.projection import project_is_right, short_is_right
from minihyena.grading.a2.recurrence import (
    conventions_agree,
    hyena_has_gradients,
    hyena_is_right,
)
from minihyena.grading.parts import (
    CONVOLUTIONS,
    Assignment,
    Part,
    Property,
    Written,
    parameters_from,
)

__all__ = ["A2"]


A2 = Assignment(
    id="A2",
    title="Hyena from the equations",
    parts=(
        Part(
            name="filter",
            title="A filter and its window",
            functions=("features", "sine_network", "window", "implicit_filter"),
            properties=(
                Property(6, "features are those of the formula", features_are_right),
                Property(6, "sine_network turns, and ends linear", network_is_right),
                Property(6, "window fades, each channel by itself", window_is_right),
                Property(7, "implicit_filter is all three together", filter_is_right),
            ),
        ),
        Part(
            name="projection",
            title="Projection and short convolution",
            functions=("project", "short_conv"),
            properties=(
                Property(3, "project makes one stream", project_is_right(False)),
                Property(5, "project makes several streams", project_is_right(True)),
                Property(4, "short_conv is the sum", short_is_right(True)),
                Property(
                    3,
                    "short_conv is right for few steps, and for one tap",
                    short_is_right(False),
                ),
            ),
            forbidden=CONVOLUTIONS,
        ),
        Part(
            name="recurrence",
            title="The recurrence in both conventions",
            functions=("hyena",),
            properties=(
                Property(5, "paper, order 1", hyena_is_right(True, True, False)),
                Property(7, "paper, higher orders", hyena_is_right(True, False, True)),
                Property(6, "reference, any order", hyena_is_right(False, True, True)),
                Property(4, "the identity, in ten digits", conventions_agree),
                Property(3, "gradients reach every argument", hyena_has_gradients),
            ),
            forbidden=CONVOLUTIONS,
        ),
        Part(
            name="dense",
            title="The same as one matrix",
            functions=("hyena_matrix",),
            properties=(
                Property(4, "right for one stage", one_stage_is_right),
                Property(5, "times v, it is the recurrence", gives_the_recurrence),
                Property(3, "exactly 0 above the diagonal", reads_nothing_later),
                Property(3, "gradients reach gates and filters", matrix_has_gradients),
            ),
            forbidden=CONVOLUTIONS,
        ),
    ),
    written=(Written("gate", "What the gate buys, with two witnesses", 20),),
    parameters=parameters_from(Path(__file__).parent.with_suffix(".toml")),
)
