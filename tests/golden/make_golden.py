#!/usr/bin/python3
"""Makes the golden files of test_golden.c with PyTorch, in double.

    /usr/bin/python3 tests/golden/make_golden.py        (Debian's python3-torch)

One file for each recurrent cell, named after it: two layers of two directions, rows of different lengths, given initial
states; the outputs, the states after, and the gradients of all parameters, of the input and of the initial states. The loss
is the sum of all elements of the outputs and of the states after, each times a weight of its own. Cells that PyTorch has
are PyTorch's; the others are written from the equations of their papers, under autograd.

The file optimizers.txt: a recurrent layer with a linear layer and cross entropy on top; the loss, and all parameters after
ten steps of each optimizer.

A file is text: one array a line, `name dimension ... = number ...`. A number is the shortest decimal (at most 17 digits) that
reads back to the same double. Inputs and parameters are multiples of 1/64, which both precisions hold exactly. Parameters
carry the names and shapes of a tidegate checkpoint.
"""
import functools
import os
import typing

import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

HERE = os.path.dirname(os.path.abspath(__file__))
T, B, I, H, L, V = 5, 4, 3, 6, 2, 4
LENGTHS = [3, 5, 1, 4]
DIRECTIONS = ["forward", "reverse"]
STEPS = 10

torch.set_default_dtype(torch.float64)


def gru_step(p, prefix, x, h):
    """Cho et al. 2014 (arXiv:1406.1078), equations 5 to 8: the reset gate acts before the product."""
    W = functools.partial(weight, p, prefix)
    z = torch.sigmoid(x @ W("W_xz") + h @ W("W_hz") + W("b_z"))
    r = torch.sigmoid(x @ W("W_xr") + h @ W("W_hr") + W("b_r"))
    g = torch.tanh(x @ W("W_xg") + (r * h) @ W("W_hg") + W("b_g"))
    return z * h + (1 - z) * g


def mingru_step(p, prefix, x, h):
    """Feng et al. 2024 (arXiv:2410.01201), section 3.1: gate and candidate see the input alone."""
    W = functools.partial(weight, p, prefix)
    z = torch.sigmoid(x @ W("W_xz") + W("b_z"))
    g = x @ W("W_xg") + W("b_g")
    return (1 - z) * h + z * g


class Cell(typing.NamedTuple):
    gates: str               # the letters of a checkpoint
    module: object = None    # PyTorch's layer; its second bias is zero unless recurrent_bias
    stacks: str = ""         # the order in which it stacks the gates
    step: object = None      # or, where PyTorch has none, the equations of one step
    recurrent: bool = True   # there are weights W_h
    recurrent_bias: bool = False
    states: tuple = ("h",)


CELLS = {
    "gru": Cell("zrg", step=gru_step),
    "gru-reset-after": Cell("zrg", torch.nn.GRU, "rzg", recurrent_bias=True),
    "lstm": Cell("ifgo", torch.nn.LSTM, "ifgo", states=("h", "c")),
    "tanh": Cell("h", functools.partial(torch.nn.RNN, nonlinearity="tanh"), "h"),
    "relu": Cell("h", functools.partial(torch.nn.RNN, nonlinearity="relu"), "h"),
    "mingru": Cell("zg", step=mingru_step, recurrent=False),
}

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


def weight(p, prefix, name):
    return p[f"{prefix}/{name}"]


def random(*shape, scale=1.0):
    return torch.round(torch.randn(*shape) * 64 * scale) / 64


def cell_shapes(cell, prefix, inputs, hidden):
    """The parameters of one direction: names as in a checkpoint, shapes as in the equations, (I,H) a gate."""
    c = CELLS[cell]
    shapes = {f"{prefix}/W_x{g}": (inputs, hidden) for g in c.gates}
    shapes.update({f"{prefix}/W_h{g}": (hidden, hidden) for g in c.gates if c.recurrent})
    shapes.update({f"{prefix}/b_{g}": (hidden,) for g in c.gates})
    shapes.update({f"{prefix}/b_h{g}": (hidden,) for g in c.gates if c.recurrent_bias})
    return shapes


def stacked(cell, p, prefix):
    """The weights of one direction as PyTorch has them: the gates stacked, and transposed."""
    c = CELLS[cell]
    ours = {"weight_ih": "W_x", "weight_hh": "W_h", "bias_ih": "b_", "bias_hh": "b_h"}
    if not c.recurrent_bias:
        del ours["bias_hh"]
    whole = {name: torch.cat([p[f"{prefix}/{start}{g}"] for g in c.stacks], -1) for name, start in ours.items()}
    whole = {name: value.t() for name, value in whole.items()}
    return {"bias_hh": torch.zeros_like(whole["bias_ih"]), **whole}


def module_of(cell, p, prefix, inputs, hidden, layers, directions):
    """PyTorch's layer, whose weights are functions of our parameters."""
    module = CELLS[cell].module(inputs, hidden, layers, bidirectional=len(directions) == 2)
    for layer in range(layers):
        for direction in directions:
            suffix = f"_l{layer}" + ("_reverse" if direction == "reverse" else "")
            for name, value in stacked(cell, p, f"{prefix}/layer{layer}/{direction}").items():
                del module._parameters[name + suffix]
                setattr(module, name + suffix, value)
    module._flat_weights = [getattr(module, name) for name in module._flat_weights_names]
    return module


def run_module(cell, p, x, before):
    """On packed sequences: the outputs and the states after."""
    module = module_of(cell, p, "rnn", I, H, L, DIRECTIONS)
    packed = pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False)
    y, after = module(packed, before[0] if len(before) == 1 else tuple(before))
    return pad_packed_sequence(y, total_length=T)[0], [after] if len(before) == 1 else list(after)


def run_equations(cell, p, x, before):
    """Step by step; a row keeps its state before it begins and after it has ended."""
    last = []
    for layer in range(L):
        ways = []
        for direction in DIRECTIONS:
            h, outputs = before[0][len(last)], [None] * T
            for t in reversed(range(T)) if direction == "reverse" else range(T):
                runs = (torch.tensor(LENGTHS) > t)[:, None]
                h = torch.where(runs, CELLS[cell].step(p, f"rnn/layer{layer}/{direction}", x[t], h), h)
                outputs[t] = torch.where(runs, h, torch.zeros(()))
            ways.append(torch.stack(outputs))
            last.append(h)
        x = torch.cat(ways, 2)
    return x, [torch.stack(last)]


def array(name, value):
    value = value.detach()
    return " ".join([name, *map(str, value.shape), "=", *map(repr, value.double().reshape(-1).tolist())])


def write(variant, lines):
    with open(os.path.join(HERE, variant + ".txt"), "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")


def parameters(shapes):
    return {name: random(*shape, scale=0.5).requires_grad_() for name, shape in shapes.items()}


def make_cell(cell):
    torch.manual_seed(20140603)
    c, shapes = CELLS[cell], {}
    for layer in range(L):
        for direction in DIRECTIONS:
            shapes.update(cell_shapes(cell, f"rnn/layer{layer}/{direction}", 2 * H if layer else I, H))
    p = parameters(shapes)
    inputs = {"x": random(T, B, I).requires_grad_()}
    inputs.update({f"{s}0": random(2 * L, B, H).requires_grad_() for s in c.states})
    before = [inputs[f"{s}0"] for s in c.states]
    y, after = (run_module if c.module else run_equations)(cell, p, inputs["x"], before)
    results = {"y": y, **dict(zip(c.states, after))}
    weights = {name: random(*value.shape) for name, value in results.items()}
    loss = sum((weights[name] * value).sum() for name, value in results.items())
    loss.backward()
    lines = [array("lengths", torch.tensor(LENGTHS))]
    lines += [array(name, value) for name, value in {**inputs, **p, **results}.items()]
    lines += [array(f"weight:{name}", value) for name, value in weights.items()]
    lines += [array(f"gradient:{name}", value.grad) for name, value in {**inputs, **p}.items()]
    write(cell, lines)


def make_optimizers():
    torch.manual_seed(20140603)
    cell = "gru-reset-after"
    p = parameters({**cell_shapes(cell, "rnn/layer0/forward", I, H), "out/W": (H, V), "out/b": (V,)})
    x, target = random(T, B, I), torch.randint(V, (T, B))
    for b, length in enumerate(LENGTHS):
        target[length:, b] = -1
    packed = pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False)

    def loss_of(q):
        y = pad_packed_sequence(module_of(cell, q, "rnn", I, H, 1, ["forward"])(packed)[0], total_length=T)[0]
        logits = y @ q["out/W"] + q["out/b"]
        return torch.nn.functional.cross_entropy(logits.reshape(-1, V), target.reshape(-1), ignore_index=-1)

    lines = [array("lengths", torch.tensor(LENGTHS)), array("x", x), array("target", target)]
    lines += [array(name, value) for name, value in p.items()] + [array("loss", loss_of(p))]
    for kind, make in OPTIMIZERS.items():
        q = {name: value.detach().clone().requires_grad_() for name, value in p.items()}
        optimizer = make(list(q.values()))
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss_of(q).backward()
            if kind.startswith("clipped"):
                torch.nn.utils.clip_grad_norm_(q.values(), 0.1)
            optimizer.step()
        lines += [array(f"{kind}:{name}", value) for name, value in q.items()]
    write("optimizers", lines)


def main():
    for cell in CELLS:
        make_cell(cell)
    make_optimizers()


if __name__ == "__main__":
    main()
