#!/usr/bin/python3
"""One contestant of compare.py language: the training step of a character language model, as language_model_step.c.

    torch_language_model_step.py V E H layers B T threads
"""
import sys

import torch

from contestant import serve

V, E, H, layers, B, T, threads = map(int, sys.argv[1:8])
torch.set_num_threads(threads)
torch.set_flush_denormal(True)
torch.manual_seed(1)
embedding, gru, out = torch.nn.Embedding(V, E), torch.nn.GRU(E, H, layers), torch.nn.Linear(H, V)
parameters = [p for layer in (embedding, gru, out) for p in layer.parameters()]
adam = torch.optim.Adam(parameters, 2e-3)
cross_entropy = torch.nn.CrossEntropyLoss()
token = torch.randint(V, (T + 1, B))
state = torch.zeros(layers, B, H)


def step():
    global state
    y, after = gru(embedding(token[:-1]), state)
    state = after.detach()
    loss = cross_entropy(out(y).view(-1, V), token[1:].reshape(-1))
    adam.zero_grad(set_to_none=True)
    loss.backward()
    adam.step()


for _ in range(3):
    step()
print(f"ready PyTorch {torch.__version__}, {sum(p.numel() for p in parameters)} parameters", flush=True)
serve(step, 3)
