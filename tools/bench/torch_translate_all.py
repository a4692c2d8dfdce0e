#!/usr/bin/python3
"""One contestant of compare.py decoding: greedy translations of all sources of a file, as translate_all.c, with the
weights of the same checkpoint.

    torch_translate_all.py MODEL DATA TRANSLATIONS threads ROWS

ROWS: sentences of a batch. MODEL: additive attention, --cell gru-reset-after (PyTorch has no other), one layer, no coverage, words.
"""
import re
import sys

import h5py
import torch

from contestant import serve
from torch_model import EncoderDecoder, translate


def texts(dataset):
    return [bytes(text).rstrip(b"\0").decode() for text in dataset[()]]


def matrix(group, name):
    return torch.from_numpy(group[name][()])


def gates(group, kind):
    """PyTorch's order of the gates: reset, update, new."""
    return torch.cat([matrix(group, kind + gate) for gate in "rzg"], -1)


def copy_gru(group, module, suffix=""):
    for name, kind in ("weight_ih", "W_x"), ("weight_hh", "W_h"), ("bias_ih", "b_"), ("bias_hh", "b_h"):
        getattr(module, name + suffix).copy_(gates(group, kind).t())


def copy_linear(group, linear, tied=False):
    if not tied:
        linear.weight.copy_(matrix(group, "W").t())
    linear.bias.copy_(matrix(group, "b"))


def copy_attention(group, attention):
    attention.query.weight.copy_(matrix(group, "W_q").t())
    attention.key.weight.copy_(matrix(group, "W_k").t())
    attention.v.weight.copy_(matrix(group, "v").unsqueeze(0))
    for linear in attention.query, attention.key, attention.v:
        linear.bias.zero_()


def settings(file):
    s = {name: value.decode() if isinstance(value, bytes) else value for name, value in file["model"].attrs.items()}
    fits = {"attention": "additive", "cell": "gru-reset-after", "layers": 1, "coverage": 0}
    for name, value in fits.items():
        if s[name] != value:
            sys.exit(f"{sys.argv[1]}: {name} is {s[name]}, must be {value}")
    if s["tying"] == "all":
        sys.exit(f"{sys.argv[1]}: tying is all, must be none or target")
    if file["vocabulary"].attrs["source_tokenizer"] != b"words":
        sys.exit(f"{sys.argv[1]}: tokens are not words")
    return s


@torch.no_grad()
def load(path):
    """-> the model, source words to ids, target words."""
    with h5py.File(path, "r") as file:
        s, p = settings(file), file["parameters"]
        source, target = texts(file["vocabulary/source"]), texts(file["vocabulary/target"])
        tied = s["tying"] == "target"
        model = EncoderDecoder(len(source), len(target), s["embed"], s["hidden"], bool(s["bidirectional"]),
                               True, s["readout"] or None, tied)
        model.source_embedding.weight.copy_(matrix(p["source_embedding"], "W"))
        model.target_embedding.weight.copy_(matrix(p["target_embedding"], "W"))
        copy_gru(p["encoder/layer0/forward"], model.encoder, "_l0")
        if s["bidirectional"]:
            copy_gru(p["encoder/layer0/reverse"], model.encoder, "_l0_reverse")
        copy_linear(p["bridge/layer0"], model.bridge)
        copy_attention(p["decoder/layer0/attention"], model.attention)
        copy_gru(p["decoder/layer0/forward"], model.decoder)
        if s["readout"]:
            copy_linear(p["readout"], model.readout)
        copy_linear(p["output"], model.output, tied)
    return model, {word: id for id, word in enumerate(source)}, target


def main():
    path, data, translations, threads, rows = sys.argv[1:6]
    torch.set_num_threads(int(threads))
    torch.set_flush_denormal(True)
    model, source_id, target_word = load(path)
    model.eval()
    model.forbid()
    with open(data, encoding="utf-8", newline="\n") as file:
        lines = [line.split("\t")[0] for line in file if "\t" in line]

    def work():
        sentences = [re.findall(r"[^ \t\n\v\f\r]+", line) for line in lines]
        return translate(model, sentences, source_id, target_word, int(rows))

    with open(translations, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(text + "\n" for text in work())
    print("ready PyTorch", torch.__version__, flush=True)
    serve(work, 1)


if __name__ == "__main__":
    main()
