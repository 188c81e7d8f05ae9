"""Builds the ONNX graph of a BERT sentence encoder from its tensors, so that onnxruntime alone can run it.

The operators of the ``com.microsoft`` domain are onnxruntime's own fused forms of attention and of the residual layer
norm; the standard operators give the same numbers, slower.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

_FUSED = "com.microsoft"


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """The numbers of a BERT encoder that its tensors do not tell."""

    layers: int
    heads: int
    epsilon: float


def build_encoder(tensors: Mapping[str, np.ndarray], shape: Architecture) -> bytes:
    """Return a serialized ONNX model.

    Inputs ``ids`` and ``mask``, int32 of (batch, tokens); output ``vectors``, float32 of (batch, width): the mean of
    the last hidden states over the mask, L2-normalised. ``tensors`` has the names the Transformers library gives.
    """
    draft = _Draft(tensors=tensors, epsilon=shape.epsilon)
    hidden = _embeddings(draft)
    for layer in range(shape.layers):
        hidden = _layer(draft, hidden, f"encoder.layer.{layer}", shape.heads)
    _mean_pool(draft, hidden)
    return draft.serialized(width=tensors["embeddings.word_embeddings.weight"].shape[1])


@dataclass(slots=True, kw_only=True)
class _Draft:
    """A graph in the making; every method returns the name of what it added."""

    tensors: Mapping[str, np.ndarray]
    epsilon: float
    constants: list[Any] = field(default_factory=list)
    nodes: list[Any] = field(default_factory=list)

    def constant(self, value: np.ndarray) -> str:
        from onnx import numpy_helper

        name = f"constant_{len(self.constants)}"
        # Not np.ascontiguousarray: it makes a vector of a scalar.
        self.constants.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def axis(self, number: int) -> str:
        return self.constant(np.array([number], dtype=np.int64))

    def tensor(self, name: str) -> str:
        return self.constant(self.tensors[name])

    def node(self, kind: str, *inputs: str, domain: str = "", output: str = "", **attributes: Any) -> str:
        from onnx import helper

        name = output or f"node_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], domain=domain, **attributes))
        return name

    def add_and_norm(self, value: str, residual: str, norm: str, bias: str) -> str:
        scale, shift = self.tensor(f"{norm}.weight"), self.tensor(f"{norm}.bias")
        inputs = (value, residual, scale, shift, self.tensor(bias))
        return self.node("SkipLayerNormalization", *inputs, domain=_FUSED, epsilon=self.epsilon)

    def project(self, value: str, weight: str) -> str:
        return self.node("MatMul", value, self.constant(self.tensors[weight].T))

    def serialized(self, *, width: int) -> bytes:
        from onnx import TensorProto, helper

        inputs = [
            helper.make_tensor_value_info(name, TensorProto.INT32, ["batch", "tokens"]) for name in ("ids", "mask")
        ]
        outputs = [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["batch", width])]
        graph = helper.make_graph(self.nodes, "sentence_encoder", inputs, outputs, self.constants)
        opsets = [helper.make_opsetid("", 20), helper.make_opsetid(_FUSED, 1)]
        data: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
        return data


def _embeddings(draft: _Draft) -> str:
    """Word + position + (the only used) type embedding, normalised."""
    positions, norm = draft.tensors["embeddings.position_embeddings.weight"], "embeddings.LayerNorm"
    kinds = draft.tensors["embeddings.token_type_embeddings.weight"]
    words = draft.node("Gather", draft.tensor("embeddings.word_embeddings.weight"), "ids")
    length = draft.node("Shape", "ids", start=1, end=2)
    places = draft.node("Slice", draft.constant(positions + kinds[0]), draft.axis(0), length, draft.axis(0))
    total = draft.node("Add", words, places)
    scale, shift = draft.tensor(f"{norm}.weight"), draft.tensor(f"{norm}.bias")
    return draft.node("LayerNormalization", total, scale, shift, axis=-1, epsilon=draft.epsilon)


def _layer(draft: _Draft, hidden: str, name: str, heads: int) -> str:
    """Self-attention, then the feed-forward net, each with its residual and norm."""
    parts = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
    weights = np.concatenate([draft.tensors[f"{part}.weight"].T for part in parts], axis=1)
    biases = np.concatenate([draft.tensors[f"{part}.bias"] for part in parts])
    inputs = (hidden, draft.constant(weights), draft.constant(biases), "mask")
    context = draft.node("Attention", *inputs, domain=_FUSED, num_heads=heads)
    out = f"{name}.attention.output"
    context = draft.project(context, f"{out}.dense.weight")
    hidden = draft.add_and_norm(context, hidden, f"{out}.LayerNorm", f"{out}.dense.bias")
    inner = draft.project(hidden, f"{name}.intermediate.dense.weight")
    inner = draft.node("BiasGelu", inner, draft.tensor(f"{name}.intermediate.dense.bias"), domain=_FUSED)
    inner = draft.project(inner, f"{name}.output.dense.weight")
    return draft.add_and_norm(inner, hidden, f"{name}.output.LayerNorm", f"{name}.output.dense.bias")


def _mean_pool(draft: _Draft, hidden: str) -> None:
    mask = draft.node("Cast", "mask", to=1)  # 1 is FLOAT
    spread = draft.node("Unsqueeze", mask, draft.axis(2))
    total = draft.node("ReduceSum", draft.node("Mul", hidden, spread), draft.axis(1), keepdims=0)
    count = draft.node("ReduceSum", mask, draft.axis(1), keepdims=1)
    draft.node("LpNormalization", draft.node("Div", total, count), output="vectors", axis=1, p=2)
