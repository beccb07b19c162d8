"""The process in which a student's code runs: `python -I FOLDER`; see __main__.py."""

from pathlib import Path

__all__ = ["FOLDER"]

FOLDER = Path(__file__).resolve().parent
