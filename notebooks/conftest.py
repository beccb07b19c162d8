"""What strict comparison of notebook outputs leaves out.

Pictures are described by a sentence in the same output; the sentence is compared, the
drawing is not: its last digits belong to the machine, and unit tests look at it.
"""

from typing import Any


def pytest_collectstart(collector: Any) -> None:
    """Compare neither SVG nor plotly's numbers (PNG is left out by nbval itself)."""
    if hasattr(collector, "skip_compare"):  # nbval's notebook collector
        collector.skip_compare += ("image/svg+xml", "application/vnd.plotly.v1+json")
