"""The stages as functions from values to values: what they do is here, when and how often is the runner's affair."""

from nemo_retriever_dagster.stages.caption import Captions, caption
from nemo_retriever_dagster.stages.context import contexts, outline, spare_tokens
from nemo_retriever_dagster.stages.embed import CAPTION_CHARS, embed, embeddable, passage
from nemo_retriever_dagster.stages.pictures import keep_pictures, store_pictures
from nemo_retriever_dagster.stages.split import Unit, counts, split, units
from nemo_retriever_dagster.stages.tidy import tidy
from nemo_retriever_dagster.stages.upload import check_collections, collections

__all__ = [
    "CAPTION_CHARS",
    "Captions",
    "Unit",
    "caption",
    "check_collections",
    "collections",
    "contexts",
    "counts",
    "embed",
    "embeddable",
    "keep_pictures",
    "outline",
    "passage",
    "spare_tokens",
    "split",
    "store_pictures",
    "tidy",
    "units",
]
