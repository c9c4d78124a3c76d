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

__all__ = ["TorchCodec", "bytes_of", "described", "reduced_tensor", "tensor_of"]

_SCHEMA = pa.schema([pa.field("value", pa.uint8(), nullable=False)])


class TorchCodec:
    """``torch.Tensor`` on the CPU: dense, and not computed from others.

    Parameters, quantised and sparse tensors, and those of other devices are left to pickle.
    A state dict is a dict of tensors, so it is not pickled, either; tensors in it that share
    memory come back each with its own. A view keeps its items, and the order of its
    dimensions in memory; what lies between them is not stored.
    """

    name = "torch"
    version = 2  # since 2, a tensor can be of another order in memory, or expanded

    def encode(self, value: "torch.Tensor", pickling: Pickling) -> Encoded | None:
        """See `runstore.codecs.Codec.encode`."""
        spec = described(value)
        if spec is None:
            return None
        kept = dense(value)
        if kept is not value:
            spec["order"], spec["expand"] = order_of(kept), list(value.shape)
            spec["shape"] = [kept.shape[i] for i in spec["order"]]
            kept = kept.permute(spec["order"])
        data = bytes_of(kept)
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
        if "order" in spec:
            order: list[int] = spec["order"]
            tensor = tensor.permute([order.index(i) for i in range(len(order))])
            tensor = tensor.expand(spec["expand"])
        return tensor.requires_grad_(spec["grad"])


def described(tensor: Any) -> dict[str, Any] | None:
    """Return what a tensor is besides its bytes, as JSON; None if that is not all it is."""
    if type(tensor) is not torch.Tensor or vars(tensor):
        return None
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or not tensor.is_leaf:
        return None
    if tensor.is_quantized or tensor.is_conj() or tensor.is_neg():
        return None
    if tensor.grad is not None or tensor._backward_hooks:
        return None
    dtype = str(tensor.dtype).removeprefix("torch.")
    return {"dtype": dtype, "shape": list(tensor.shape), "grad": tensor.requires_grad}


def dense(tensor: "torch.Tensor") -> "torch.Tensor":
    """Return the tensor's items without gaps and repetitions; itself if it is contiguous.

    A dimension that was expanded has one item; the order of the others in memory stays.
    """
    if tensor.is_contiguous():
        return tensor
    tensor = tensor.detach()
    for i, (size, stride) in enumerate(zip(tensor.shape, tensor.stride(), strict=True)):
        if size > 1 and stride == 0:
            tensor = tensor.narrow(i, 0, 1)
    ordered = tensor.permute(order_of(tensor))
    return tensor if ordered.is_contiguous() else tensor.contiguous()


def order_of(tensor: "torch.Tensor") -> list[int]:
    """Return the dimensions from the outermost in memory to the innermost."""
    strides = tensor.stride()
    return sorted(range(tensor.ndim), key=lambda i: -strides[i])


def bytes_of(tensor: "torch.Tensor") -> "np.ndarray[Any, Any]":
    """View a contiguous tensor's memory."""
    if not tensor.numel():
        return np.empty(0, "u1")
    # Where a dimension has one item, its stride can be anything, and torch minds.
    flat = tensor.detach().as_strided((tensor.numel(),), (1,))
    array: np.ndarray[Any, Any] = flat.view(torch.uint8).numpy()
    return array


def reduced_tensor(tensor: Any) -> Any:
    """Return what pickle makes of a tensor that shows a part of its storage; else None.

    Torch itself pickles the whole storage.
    """
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        return None
    if isinstance(tensor, torch.nn.Parameter):
        return None  # its data is reduced as a tensor
    if tensor.untyped_storage().nbytes() <= tensor.numel() * tensor.element_size():
        return None
    kept = dense(tensor.detach().as_subclass(torch.Tensor))
    own = torch.empty_like(kept, memory_format=torch.preserve_format).copy_(kept)
    own = own.expand(tensor.shape).as_subclass(type(tensor))
    own.__dict__.update(vars(tensor))
    return own.requires_grad_(tensor.requires_grad).__reduce_ex__(5)


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
