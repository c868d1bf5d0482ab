"""One file per kind of data set."""

from radvit.data.sources.base import Labelled, Source

__all__ = ["Labelled", "Source"]
