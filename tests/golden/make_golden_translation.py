#!/usr/bin/python3
"""Makes the golden files of test_golden_translation.c with PyTorch, in double: the whole encoder-decoder with each
attention, written from the equations of encoder_decoder.h and layers.h, under autograd; loss (label smoothing 0.1, mean
over real tokens) and every gradient. Sources and targets are ragged, with padding.

    /usr/bin/python3 tests/golden/make_golden_translation.py        (Debian's python3-torch)

The format is that of make_golden.py. Parameters are multiples of 1/64, which both precisions hold exactly.
"""
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from make_golden import array, cell_shapes, gru_step, module_of, stacked, write

E, H, S, T, B = 4, 6, 5, 6, 4
SOURCE_LENGTHS, TARGET_LENGTHS = [5, 2, 4, 1], [4, 6, 1, 3]
BEGIN, END = 2, 3
PLAIN = {"attention": "none", "cell": "gru", "layers": 1, "bidirectional": False, "input_feeding": False,
         "coverage": False, "readout": E, "tying": "none", "vocabularies": (9, 8)}  # readout 0: none

CASES = {
    "translation-additive": {"attention": "additive", "bidirectional": True, "tying": "target"},
    "translation-coverage": {"attention": "additive", "cell": "gru-reset-after", "coverage": True, "layers": 2, "readout": 0},
    "translation-general-feeding": {"attention": "general", "input_feeding": True, "tying": "all", "vocabularies": (9, 9)},
    "translation-dot-feeding": {"attention": "dot", "cell": "gru-reset-after", "bidirectional": True, "input_feeding": True,
                                "coverage": True},
    "translation-dot": {"attention": "dot", "layers": 2, "readout": 5},
    "translation-general": {"attention": "general", "cell": "gru-reset-after", "bidirectional": True, "coverage": True},
    "translation-none": {"bidirectional": True, "layers": 2, "readout": 0},
    "translation-none-tied": {"cell": "gru-reset-after", "bidirectional": True, "tying": "target"},
}


def sizes(c):
    """H of each direction of the encoder, and M of its memory."""
    hidden = H // 2 if c["attention"] == "dot" and c["bidirectional"] else H
    return hidden, 2 * hidden if c["bidirectional"] else hidden


def shapes_of(c):
    """Parameters by the names that a checkpoint has."""
    hidden, M = sizes(c)
    last, R, (sources, targets) = c["layers"] - 1, c["readout"], c["vocabularies"]
    additive, none = c["attention"] == "additive", c["attention"] == "none"
    directions = ["forward", "reverse"] if c["bidirectional"] else ["forward"]
    shapes = {"target_embedding/W": (targets, E)}
    if c["tying"] != "all":
        shapes["source_embedding/W"] = (sources, E)
    for layer in range(c["layers"]):
        for direction in directions:
            shapes.update(cell_shapes(c["cell"], f"encoder/layer{layer}/{direction}", M if layer else E, hidden))
        shapes.update({f"bridge/layer{layer}/W": (M, H), f"bridge/layer{layer}/b": (H,)})
        inputs = H if layer else E + M if none else E
        if layer == last and not none:
            inputs += M if additive else R if c["input_feeding"] else 0
        shapes.update(cell_shapes(c["cell"], f"decoder/layer{layer}/forward", inputs, H))
    attends = f"decoder/layer{last}"
    if c["attention"] in ("additive", "general"):
        shapes[f"{attends}/attention/W_k"] = (M, H)
    if additive:
        shapes.update({f"{attends}/attention/W_q": (H, H), f"{attends}/attention/v": (H,)})
    if c["coverage"]:
        shapes[f"{attends}/attention/w"] = (H,)
    if c["attention"] in ("dot", "general"):
        shapes.update({f"{attends}/W_u": (H + M, R), f"{attends}/b_u": (R,)})
    seen = H if none else H + M + E
    if R and (none or additive):
        shapes.update({"readout/W": (seen, R), "readout/b": (R,)})
    if c["tying"] == "none":
        shapes["output/W"] = (R or seen, targets)
    shapes["output/b"] = (targets,)
    return shapes


def step(p, c, prefix, x, h):
    """One step of the decoder: torch.nn.GRUCell for reset after, the equations for reset before."""
    if c["cell"] == "gru":
        return gru_step(p, prefix, x, h)
    gru = torch.nn.GRUCell(x.shape[1], h.shape[1])
    for name, value in stacked(c["cell"], p, prefix).items():
        del gru._parameters[name]
        setattr(gru, name, value)
    return gru(x, h)


def direction_by_equations(p, prefix, x, hidden, backwards):
    """Row by row, each without its padding: (S,B,hidden) with zeros after a row's end, and the last states."""
    rows, last = [], []
    for b, length in enumerate(SOURCE_LENGTHS):
        h, outputs = torch.zeros(1, hidden), [torch.zeros(hidden)] * S
        for s in reversed(range(length)) if backwards else range(length):
            h = gru_step(p, prefix, x[s, b : b + 1], h)
            outputs[s] = h[0]
        rows.append(torch.stack(outputs))
        last.append(h[0])
    return torch.stack(rows, 1), torch.stack(last)


def encode(p, c, x):
    """m (S,B,M), and the last layer's last state of all directions (B,M)."""
    hidden, _ = sizes(c)
    names = ["forward", "reverse"] if c["bidirectional"] else ["forward"]
    if c["cell"] == "gru":
        for layer in range(c["layers"]):
            ways = [direction_by_equations(p, f"encoder/layer{layer}/{name}", x, hidden, name == "reverse") for name in names]
            x = torch.cat([way[0] for way in ways], 2)
        return x, torch.cat([way[1] for way in ways], 1)
    gru = module_of(c["cell"], p, "encoder", E, hidden, c["layers"], names)
    y, h = gru(pack_padded_sequence(x, torch.tensor(SOURCE_LENGTHS), enforce_sorted=False))
    return pad_packed_sequence(y, total_length=S)[0], torch.cat(list(h[-len(names):]), 1)


def attend(p, c, prefix, q, m, coverage):
    """q (1,H) looks at m (S',M), one sentence without padding: a (S'), c (1,M)."""
    k = m @ p[f"{prefix}/W_k"] if c["attention"] != "dot" else m
    if c["coverage"]:
        k = k + coverage[:, None] * p[f"{prefix}/w"]
    if c["attention"] == "additive":
        e = torch.tanh(q @ p[f"{prefix}/W_q"] + k) @ p[f"{prefix}/v"]
    else:
        e = k @ q[0]
    a = torch.softmax(e, 0)
    return a, a[None] @ m


def logits_of_row(p, c, m, summary, target_in):
    """One sentence: m (S',M), summary (1,M), target_in (T') -> (T',V), by the equations of encoder_decoder.h."""
    layers, attention, last = c["layers"], c["attention"], c["layers"] - 1
    attends = f"decoder/layer{last}"
    W = p["target_embedding/W"].T if c["tying"] != "none" else p["output/W"]
    s = [torch.tanh(summary @ p[f"bridge/layer{l}/W"] + p[f"bridge/layer{l}/b"]) for l in range(layers)]
    coverage, u, rows = torch.zeros(len(m)), torch.zeros(1, c["readout"]), []
    for word in target_in:
        y = p["target_embedding/W"][word][None]
        x = y if attention != "none" else torch.cat([y, summary], 1)
        for l in range(last):
            s[l] = x = step(p, c, f"decoder/layer{l}/forward", x, s[l])
        if attention == "additive":
            a, context = attend(p, c, f"{attends}/attention", s[last], m, coverage)
            x = torch.cat([x, context], 1)
        elif c["input_feeding"]:
            x = torch.cat([x, u], 1)
        s[last] = step(p, c, f"{attends}/forward", x, s[last])
        if attention in ("dot", "general"):
            a, context = attend(p, c, f"{attends}/attention", s[last], m, coverage)
            u = torch.tanh(torch.cat([s[last], context], 1) @ p[f"{attends}/W_u"] + p[f"{attends}/b_u"])
        else:
            u = torch.cat([s[last], context, y], 1) if attention == "additive" else s[last]
            if c["readout"]:
                u = torch.tanh(u @ p["readout/W"] + p["readout/b"])
        if c["coverage"]:
            coverage = coverage + a
        rows.append(u @ W + p["output/b"])
    return torch.cat(rows)


def loss_of(p, c, source, target_in, target_out):
    table = p["target_embedding/W" if c["tying"] == "all" else "source_embedding/W"]
    m, summary = encode(p, c, table[source])
    logits = torch.cat([logits_of_row(p, c, m[:n, b], summary[b : b + 1], target_in[:k, b].tolist())
                        for b, (n, k) in enumerate(zip(SOURCE_LENGTHS, TARGET_LENGTHS))])
    truth = torch.cat([target_out[:k, b] for b, k in enumerate(TARGET_LENGTHS)])
    return torch.nn.functional.cross_entropy(logits, truth, label_smoothing=0.1)


def words(c):
    """source (S,B) with 0 for padding, target_in (T,B) likewise, target_out (T,B) with -1 for it."""
    source, target_in, target_out = (torch.zeros(n, B, dtype=torch.long) for n in (S, T, T))
    target_out -= 1
    for b, (n, k) in enumerate(zip(SOURCE_LENGTHS, TARGET_LENGTHS)):
        source[:n, b] = torch.cat([torch.randint(4, c["vocabularies"][0], (n - 1,)), torch.tensor([END])])
        target_out[:k, b] = torch.cat([torch.randint(4, c["vocabularies"][1], (k - 1,)), torch.tensor([END])])
        target_in[:k, b] = torch.cat([torch.tensor([BEGIN]), target_out[: k - 1, b]])
    return source, target_in, target_out


def main():
    for number, (name, settings) in enumerate(CASES.items()):
        torch.manual_seed(20140901 + number)
        c = {**PLAIN, **settings}
        p = {name: (torch.round(torch.randn(*shape) * 45) / 64).requires_grad_() for name, shape in shapes_of(c).items()}
        batch = words(c)
        loss = loss_of(p, c, *batch)
        loss.backward()
        lines = [array("source_lengths", torch.tensor(SOURCE_LENGTHS)), array("target_lengths", torch.tensor(TARGET_LENGTHS))]
        lines += [array(what, value) for what, value in zip(("source", "target_in", "target_out"), batch)]
        lines += [array(what, value) for what, value in p.items()]
        lines += [array("loss", loss)] + [array("gradient:" + what, value.grad) for what, value in p.items()]
        write(name, lines)
        print(name, "loss", loss.item())


if __name__ == "__main__":
    main()
