"""Writes the files beside it with the real PyTorch: python make.py (torch, safetensors)."""

import collections
import os
import pathlib
import sys

import torch
from safetensors.torch import save_file

here = pathlib.Path(__file__).parent
torch.manual_seed(7)

base = torch.randn(6, 8)
state = collections.OrderedDict(
    contiguous=base,
    transposed=base.t(),
    offset=base[2:5],
    strided=base[::2, 1::3],
    shared=base.view(-1)[4:12],
    expanded=torch.randn(3, 1).expand(3, 5),
    parameter=torch.nn.Parameter(torch.randn(4)),
    scalar=torch.tensor(2.5),
    empty=torch.empty(0, 3),
    bfloat16=torch.randn(5).bfloat16(),
    float16=torch.tensor([1.0, -2.5, 65504.0, 6e-8, float("inf")]).half(),
    float64=torch.randn(3, dtype=torch.float64),
    int64=torch.tensor([-1, 2**40]),
    int32=torch.tensor([[1, -2], [3, -4]], dtype=torch.int32),
    int8=torch.tensor([-128, 127], dtype=torch.int8),
    uint8=torch.tensor([0, 255], dtype=torch.uint8),
    bool=torch.tensor([True, False, True]),
)
expected = {name: tensor.detach().clone().contiguous() for name, tensor in state.items()}
save_file(expected, here / "odd.safetensors", metadata={"format": "pt"})
state["epoch"] = 3
torch.save(state, here / "odd.bin")
torch.save(state, here / "odd-protocol5.bin", pickle_protocol=5)
torch.save(state, here / "odd-legacy.bin", _use_new_zipfile_serialization=False)


class Malicious:
    def __reduce__(self):
        return os.system, ("touch precis-ran-a-pickle",)


torch.save({"weight": torch.zeros(2), "payload": Malicious()}, here / "malicious.bin")
sys.stdout.write("written\n")
