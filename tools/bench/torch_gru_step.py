#!/usr/bin/python3
"""One contestant of compare.py gru: the training step of PyTorch's nn.GRU (reset-after), as gru_step.c.

    torch_gru_step.py T B I H threads
"""
import sys

import torch

from contestant import serve

T, B, I, H, threads = map(int, sys.argv[1:6])
torch.set_num_threads(threads)
torch.set_flush_denormal(True)
torch.manual_seed(1)
x = torch.randn(T, B, I, requires_grad=True)
h0 = torch.randn(1, B, H, requires_grad=True)
dy = torch.randn(T, B, H)
gru = torch.nn.GRU(I, H)
sgd = torch.optim.SGD(list(gru.parameters()) + [x, h0], lr=1e-6)


def step():
    sgd.zero_grad(set_to_none=True)
    gru(x, h0)[0].backward(dy)
    sgd.step()


for _ in range(3):
    step()
print("ready PyTorch", torch.__version__, flush=True)
serve(step, 1)
