#!/usr/bin/python3
"""One contestant of compare.py training: the training step of the translation model of the usual PyTorch tutorial, as
translation_step.c, on random tokens.

    torch_translation_step.py V E H B T threads usual|hoisted

usual: the output layer runs in every step of the decoder's loop; hoisted: once, after the loop, which is kinder.
"""
import sys

import torch

from contestant import serve
from torch_model import EncoderDecoder

V, E, H, B, T, threads = map(int, sys.argv[1:7])
torch.set_num_threads(threads)
torch.set_flush_denormal(True)
torch.manual_seed(1)
model = EncoderDecoder(V, V, E, H)
adam = torch.optim.Adam(model.parameters(), 1e-3)
cross_entropy = torch.nn.CrossEntropyLoss()
source, target_in, target_out = torch.randint(V, (3, B, T))


def step():
    logits = model(source, None, target_in, hoisted=sys.argv[7] == "hoisted")
    loss = cross_entropy(logits.reshape(-1, V), target_out.reshape(-1))
    adam.zero_grad(set_to_none=True)
    loss.backward()
    adam.step()


for _ in range(2):
    step()
print(f"ready PyTorch {torch.__version__}, {sum(p.numel() for p in model.parameters())} parameters", flush=True)
serve(step, 3)
