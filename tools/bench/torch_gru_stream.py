#!/usr/bin/python3
"""One contestant of compare.py streaming: one row, one step after the other, as gru_stream.c.

    torch_gru_stream.py H threads
"""
import sys

import torch

from contestant import serve

STEPS = 100
H, threads = map(int, sys.argv[1:3])
torch.set_num_threads(threads)
torch.set_flush_denormal(True)
torch.manual_seed(1)
cell = torch.nn.GRUCell(H, H).eval()
x, h = torch.randn(STEPS, 1, H), torch.zeros(1, H)


def steps():
    global h
    with torch.inference_mode():
        for k in range(STEPS):
            h = cell(x[k], h)


for _ in range(3):
    steps()
print("ready PyTorch", torch.__version__, flush=True)
serve(steps, 3)
