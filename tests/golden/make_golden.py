#!/usr/bin/python3
"""Makes the golden files of test_golden.c with PyTorch, in double: both variants of the GRU, two
layers, rows of different lengths, a linear layer and cross entropy on top; outputs, loss, every
gradient, and all parameters after ten steps of each optimizer.

    /usr/bin/python3 tests/golden/make_golden.py        (Debian's python3-torch)

A file is text: one array a line, `name dimension ... = number ...`, numbers in hexadecimal, so that
not a bit is lost. Parameters carry the names and shapes of a tidegate checkpoint.
"""
import os

import torch

HERE = os.path.dirname(os.path.abspath(__file__))
T, B, I, H, L, V = 5, 4, 3, 6, 2, 4
LENGTHS = [3, 5, 1, 4]
STEPS = 10
GATES = "zrg"

torch.set_default_dtype(torch.float64)
torch.manual_seed(20140603)

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "sgd_momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.5),
    "sgd_nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda p: torch.optim.Adam(p, lr=0.02, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.9),
    "rmsprop_momentum": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.9, weight_decay=0.01),
    "clipped_sgd": lambda p: torch.optim.SGD(p, lr=0.1),  # after clipping by the global norm 0.1
}


def gru_shapes(prefix, inputs, hidden, reset_after):
    """Named as in a checkpoint; shapes as in the equations, (I,H) a gate."""
    shapes = {f"{prefix}/W_x{g}": (inputs, hidden) for g in GATES}
    shapes.update({f"{prefix}/W_h{g}": (hidden, hidden) for g in GATES})
    shapes.update({f"{prefix}/b_{g}": (hidden,) for g in GATES})
    shapes.update({f"{prefix}/b_h{g}": (hidden,) for g in GATES if reset_after})
    return shapes


def initial_parameters(reset_after):
    shapes = {}
    for layer in range(L):
        shapes.update(gru_shapes(f"gru/layer{layer}/forward", H if layer else I, H, reset_after))
    shapes.update({"out/W": (H, V), "out/b": (V,)})
    return {name: (torch.randn(*shape) * 0.5).requires_grad_() for name, shape in shapes.items()}


def stacked(p, prefix):
    """The weights of one direction as PyTorch has them: gates stacked r z n, transposed."""
    return {name: torch.cat([p[f"{prefix}/{ours}{g}"].T if p[f"{prefix}/{ours}{g}"].dim() == 2 else p[f"{prefix}/{ours}{g}"]
                             for g in "rzg"])
            for name, ours in (("weight_ih", "W_x"), ("weight_hh", "W_h"), ("bias_ih", "b_"), ("bias_hh", "b_h"))}


def step(p, prefix, x, h):
    """Cho et al. 2014, eq. 5-8: reset before."""
    W = {name: p[f"{prefix}/{name}"] for kind in ("W_x", "W_h", "b_") for name in (kind + g for g in GATES)}
    z = torch.sigmoid(x @ W["W_xz"] + h @ W["W_hz"] + W["b_z"])
    r = torch.sigmoid(x @ W["W_xr"] + h @ W["W_hr"] + W["b_r"])
    g = torch.tanh(x @ W["W_xg"] + (r * h) @ W["W_hg"] + W["b_g"])
    return z * h + (1 - z) * g


def array(name, value, text=float.hex):
    value = value.detach().double()
    return " ".join([name, *map(str, value.shape), "=", *map(text, value.reshape(-1).tolist())])


def write(variant, lines):
    with open(os.path.join(HERE, variant + ".txt"), "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")


def by_nn_gru(p, x, h0):
    """torch.nn.GRU on packed sequences."""
    gru = torch.nn.GRU(I, H, L)
    for layer in range(L):
        for name, value in stacked(p, f"gru/layer{layer}/forward").items():
            del gru._parameters[f"{name}_l{layer}"]
            setattr(gru, f"{name}_l{layer}", value)
    gru._flat_weights = [getattr(gru, name) for name in gru._flat_weights_names]
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False)
    y, h = gru(packed, h0)
    return torch.nn.utils.rnn.pad_packed_sequence(y, total_length=T)[0], h


def by_equations(p, x, h0):
    """Reset before, under autograd; a row that has ended keeps its state."""
    last = []
    for layer in range(L):
        h, outputs = h0[layer], []
        for t in range(T):
            runs = (torch.tensor(LENGTHS) > t)[:, None]
            h = torch.where(runs, step(p, f"gru/layer{layer}/forward", x[t], h), h)
            outputs.append(torch.where(runs, h, torch.zeros(())))
        x = torch.stack(outputs)
        last.append(h)
    return x, torch.stack(last)


def loss_of(p, x, h0, target, run):
    y, h = run(p, x, h0)
    logits = y @ p["out/W"] + p["out/b"]
    loss = torch.nn.functional.cross_entropy(logits.reshape(-1, V), target.reshape(-1), ignore_index=-1)
    return y, h, loss + 0.1 * (h * h).sum()  # the state after gets a gradient of its own


def main():
    for variant, run in (("gru", by_equations), ("gru-reset-after", by_nn_gru)):
        p = initial_parameters(run is by_nn_gru)
        x, h0 = torch.randn(T, B, I, requires_grad=True), torch.randn(L, B, H, requires_grad=True)
        target = torch.randint(V, (T, B))
        for b, length in enumerate(LENGTHS):
            target[length:, b] = -1
        lines = []

        def put(name, value):
            lines.append(array(name, value))

        put("x", x)
        put("h0", h0)
        put("lengths", torch.tensor(LENGTHS))
        put("target", target)
        for name, value in p.items():
            put(name, value)
        y, h, loss = loss_of(p, x, h0, target, run)
        loss.backward()
        put("y", y)
        put("h", h)
        put("loss", loss)
        put("gradient:x", x.grad)
        put("gradient:h0", h0.grad)
        for name, value in p.items():
            put("gradient:" + name, value.grad)
        for kind, make in OPTIMIZERS.items():
            q = {name: value.detach().clone().requires_grad_() for name, value in p.items()}
            optimizer = make(list(q.values()))
            for _ in range(STEPS):
                optimizer.zero_grad()
                loss_of(q, x.detach(), h0.detach(), target, run)[2].backward()
                if kind.startswith("clipped"):
                    torch.nn.utils.clip_grad_norm_(q.values(), 0.1)
                optimizer.step()
            for name, value in q.items():
                put(f"{kind}:{name}", value)
        write(variant, lines)
        print(variant, "loss", loss.item())


if __name__ == "__main__":
    main()
