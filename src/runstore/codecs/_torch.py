"""torch tensors: their bytes as one column, without pickle and without a copy."""

import math
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from runstore.codecs._base import Encoded, Opened
from runstore.codecs._pickle import Pickling
from runstore.codecs._types import check_type
from runstore.errors import CorruptObjectError

__all__ = ["TorchCodec", "bytes_of", "described", "tensor_of"]

_SCHEMA = pa.schema([pa.field("value", pa.uint8(), nullable=False)])


class TorchCodec:
    """``torch.Tensor`` on the CPU: dense, contiguous, and not computed from others.

    Parameters, quantised, sparse and strided tensors, and those of other devices are
    left to pickle. A state dict is a dict of tensors, so it is not pickled, either;
    tensors in it that share memory come back each with its own.
    """

    name = "torch"
    version = 1

    def encode(self, value: "torch.Tensor", pickling: Pickling) -> Encoded | None:
        """See `runstore.codecs.Codec.encode`."""
        spec = described(value)
        if spec is None:
            return None
        data = bytes_of(value)
        column = pa.Array.from_buffers(pa.uint8(), data.size, [None, pa.py_buffer(data)])
        return Encoded(
            _SCHEMA,
            [pa.RecordBatch.from_arrays([column], schema=_SCHEMA)],
            spec,
            rows=value.shape[0] if value.ndim else None,
            nbytes=data.size,
        )

    def decode(self, opened: Opened, spec: dict[str, Any], pickling: Pickling) -> Any:
        """See `runstore.codecs.Codec.decode`."""
        column = opened.batch(0).column(0)
        check_type(opened, column.type, pa.types.is_uint8)
        if spec["dtype"] == "bool":
            opened.check_all()
        data = opened.array(column.buffers()[1], "u1", len(column))
        tensor = tensor_of(data, spec["dtype"], spec["shape"])
        return tensor.requires_grad_(spec["grad"])


def described(tensor: Any) -> dict[str, Any] | None:
    """Say what a tensor is besides its bytes, as JSON; None if that is not all it is."""
    if type(tensor) is not torch.Tensor or vars(tensor):
        return None
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or not tensor.is_leaf:
        return None
    if not tensor.is_contiguous() or tensor.is_quantized or tensor.is_conj() or tensor.is_neg():
        return None
    if tensor.grad is not None or tensor._backward_hooks:
        return None
    dtype = str(tensor.dtype).removeprefix("torch.")
    return {"dtype": dtype, "shape": list(tensor.shape), "grad": tensor.requires_grad}


def bytes_of(tensor: "torch.Tensor") -> "np.ndarray[Any, Any]":
    """View a contiguous tensor's memory."""
    if not tensor.numel():
        return np.empty(0, "u1")
    array: np.ndarray[Any, Any] = tensor.detach().reshape(-1).view(torch.uint8).numpy()
    return array


def tensor_of(data: "np.ndarray[Any, Any]", dtype: str, shape: list[int]) -> "torch.Tensor":
    """Build a tensor on *data*, bytes that are private to it.

    Raises:
        CorruptObjectError: There are more or fewer bytes than the shape takes.
    """
    kind = getattr(torch, dtype)
    if not isinstance(kind, torch.dtype) or min(shape, default=0) < 0:
        raise CorruptObjectError(f"there is no tensor of {dtype} and shape {shape}")
    if math.prod(shape) * kind.itemsize != data.size:
        raise CorruptObjectError("the stored tensor is damaged: shape and data differ")
    if not data.size:
        return torch.empty(shape, dtype=kind)
    if kind == torch.bool and data.max() > 1:
        raise CorruptObjectError("the stored tensor is damaged: it has truth values that cannot be")
    if data.ctypes.data % kind.itemsize:
        data = data.copy()  # torch expects its items aligned
    return torch.from_numpy(data).view(kind).reshape(shape)
