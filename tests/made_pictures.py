"""A picture for tests that need one and do not look at it."""

__all__ = ["DOT"]

DOT = (  # a PNG of one black pixel, base64
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNgYGAAAAAEAAH2FzhVAAAA"
    "AElFTkSuQmCC"
)
