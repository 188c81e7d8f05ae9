"""Asks a server with NVIDIA's own clients (nv-ingest-api) and prints, as JSON, what they make of its answers.

Run by `test_nim_peers.py` with a Python that has them: URLs by port as JSON on the command line, a PNG on standard input.
"""

import base64
import io
import json
import sys

import numpy as np
from nv_ingest_api.internal.primitives.nim.model_interface import ocr, text_embedding, vlm, yolox
from nv_ingest_api.internal.primitives.nim.model_interface.nemotron_parse import NemotronParseModelInterface
from nv_ingest_api.util.nim import create_inference_client, infer_microservice
from PIL import Image

URLS = json.loads(sys.argv[1])
PNG = sys.stdin.buffer.read()
IMAGE = np.array(Image.open(io.BytesIO(PNG)).convert("RGB"))
BASE64 = base64.b64encode(PNG).decode()


def ask(port, interface, data, model, **options):
    client = create_inference_client(("", URLS[port]), interface, infer_protocol="http", timeout=20.0, max_retries=2)
    try:
        return client.infer(data, model_name=model, **options)
    finally:
        client.close()


def pages():
    """Images as the library's stages hand them over."""
    return {"images": [IMAGE, IMAGE]}


found = {
    "page_elements": ask("page_elements", yolox.YoloxPageElementsModelInterface(), pages(), "yolox"),
    "graphic_elements": ask("graphic_elements", yolox.YoloxGraphicElementsModelInterface(), pages(), "yolox"),
    "table_structure": ask("table_structure", yolox.YoloxTableStructureModelInterface(), pages(), "yolox"),
    "ocr": ask(
        "ocr", ocr.NemoRetrieverOCRModelInterface(), {"base64_images": [BASE64]}, "pipeline", merge_levels=["word"]
    ),
    "captioner": ask(
        "captioner",
        vlm.VLMModelInterface(),
        {"base64_images": [BASE64], "prompt": "Caption this:", "system_prompt": "/no_think"},
        "nvidia/nemotron-nano-12b-v2-vl",
    ),
    "page_parser": ask("page_parser", NemotronParseModelInterface(), {"images": [IMAGE]}, "nemotron_parse"),
    "embedder_client": ask(
        "embedder",
        text_embedding.EmbeddingModelInterface(),
        {"prompts": ["a quick fox", "a dog"]},
        "nvidia/llama-3.2-nv-embedqa-1b-v2",
    ),
    "embedder": infer_microservice(
        ["a quick fox", "a dog"],
        model_name="nvidia/llama-3.2-nv-embedqa-1b-v2",
        embedding_endpoint=URLS["embedder"].removesuffix("/embeddings"),
        input_type="passage",
        truncate="END",
        batch_size=2,
    ),
}
print("FOUND " + json.dumps(found, default=lambda value: getattr(value, "tolist", lambda: str(value))()))
