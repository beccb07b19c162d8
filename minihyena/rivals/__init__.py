"""What Hyena is measured against, behind the same interface."""

from minihyena.rivals.attention import AttentionConfig, SoftmaxAttention

__all__ = ["AttentionConfig", "SoftmaxAttention"]
