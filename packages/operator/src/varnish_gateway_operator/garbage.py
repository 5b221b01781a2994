"""Garbage collection, kept out of where it only costs."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection() -> Iterator[None]:
    """No garbage collection meanwhile: a round makes hundreds of thousands of objects and no garbage with cycles, and
    looking through all of them again and again takes longer than the round."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
