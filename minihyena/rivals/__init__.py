"""What Hyena is measured against, behind the same two interfaces: mixer and filter."""

__all__ = ["attention", "filters", "gated", "long_filter", "recurrent", "state_space"]
