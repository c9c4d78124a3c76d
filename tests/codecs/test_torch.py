"""torch tensors and state dicts; torch is too large for the usual test environment."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runstore import ObjectStore
from runstore.errors import UnsupportedValueError
from runstore.testing import CodecTests, assert_same

torch = pytest.importorskip("torch", reason="torch is 200 MB: installed by hand for this file")


class TestTorch(CodecTests):
    codec = "torch"
    zero_copy = True

    @classmethod
    def values(cls) -> dict[str, Any]:
        kinds = [torch.float32, torch.bfloat16, torch.float16, torch.int8, torch.bool]
        return {
            "matrix": torch.arange(6.0).reshape(2, 3),
            "0-d": torch.tensor(1.5),
            "transposed": torch.arange(6.0).reshape(2, 3).T,
            "strided": torch.arange(60.0).reshape(6, 10)[::2, 3],
            "expanded": torch.arange(2.0).reshape(2, 1).expand(2, 3),
            "last of one": torch.arange(10.0).reshape(1, 10)[:, 0],
            "channels last": torch.ones(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
            "empty": torch.empty((3, 0), dtype=torch.int16),
            "gradient": torch.ones(3, requires_grad=True),
            "slice": torch.arange(10)[2:5],
            "complex": torch.tensor([1 + 2j, float("nan")]),
            **{str(kind): torch.ones(3).to(kind) for kind in kinds},
        }

    @classmethod
    def inexact(cls) -> dict[str, Any]:
        return {
            "computed": torch.ones(3, requires_grad=True) * 2,
            "parameter": torch.nn.Parameter(torch.ones(2)),
            "sparse": torch.eye(3).to_sparse(),
            "conjugated": torch.tensor([1j]).conj(),
        }

    @classmethod
    def large(cls) -> Any:
        return torch.zeros(1 << 21)

    def change(self, value: Any) -> bool:
        with torch.no_grad():
            value.zero_()
        return bool(value.numel())


def test_state_dict(store: Any) -> None:
    """A model's state dict is kept without pickle and loads into the model."""
    view = ObjectStore(store.url, pickle="deny").at(namespace="dev", run="r1")
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    assert not view.put("x", model.state_dict()).pickled
    state = view.get("x")
    assert type(state) is OrderedDict
    assert_same(model.state_dict(), state)
    model.load_state_dict(state)


def test_safetensors_of_tensors(tmp_path: Path) -> None:
    """A .safetensors of tensors is what the library reads, and comes back as tensors."""
    from safetensors.torch import load_file

    view = ObjectStore(tmp_path).at(namespace="dev", run="r1")
    tensors = {"b": torch.ones(3, dtype=torch.bfloat16), "a": torch.arange(4.0), "e": torch.ones(0)}
    view.put("x.safetensors", tensors)
    value = view.get("x.safetensors")
    assert_same(tensors, value)
    value["a"] += 1
    loaded = load_file(next(tmp_path.rglob("x.safetensors")))
    assert_same(tensors, {key: loaded[key] for key in tensors})


@pytest.mark.parametrize("other", [np.ones(2), torch.ones(2, requires_grad=True), 1])
def test_safetensors_of_one_kind(other: Any, store: Any) -> None:
    """Arrays beside tensors, and gradients, are refused: the file would forget them."""
    view = store.at(namespace="dev", run="r1")
    with pytest.raises(UnsupportedValueError, match="'b'"):
        view.put("x.safetensors", {"a": torch.ones(2), "b": other})
