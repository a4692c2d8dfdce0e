#!/usr/bin/python3
"""A yardstick of quality: what PyTorch learns from the same parallel text, with the same equations and sizes.

    torch_translate.py --train FILE --valid FILE --out DIR [--test FILE] [options]

The options are those of `tidegate train translate`, with its defaults; tokens are words, attention is additive, and the
cell is PyTorch's, with the reset gate after the product. Weights start from the same distributions; batches are of
similar length, the encoder is packed, and the output layer and the loss run once for all real tokens of a batch. The
best epoch by validation loss is kept. With --test, its loss and perplexity there go to standard output, as JSON, and
greedy translations to DIR/translations.txt, for `tidegate score --tokenize none`.
"""
import argparse
import collections
import copy
import json
import math
import os
import random
import re
import sys
import time

import torch
from torch import nn

from torch_model import BEGIN, END, SPECIAL, UNKNOWN, EncoderDecoder, pad, translate

WINDOW = 64  # batches that are sorted by length together


# ---- data ----

def read_pairs(path, most=None):
    """-> pairs of lists of words. Pairs with more than `most` on a side are left out."""
    pairs = []
    with open(path, encoding="utf-8", newline="\n") as file:
        for line in file:
            if line.strip():
                source, target = (re.findall(r"[^ \t\n\v\f\r]+", side) for side in line.split("\t")[:2])
                if most is None or max(len(source), len(target)) <= most:
                    pairs.append((source, target))
    return pairs


def make_vocabulary(sentences, least):
    """-> words by falling frequency, the special ones first."""
    count = collections.Counter(word for sentence in sentences for word in sentence if word not in SPECIAL)
    kept = [word for word in count if count[word] >= least]
    return SPECIAL + sorted(kept, key=lambda word: (-count[word], word.encode()))


class Batches:
    def __init__(self, pairs, source_id, target_id, rows):
        self.rows = rows
        self.pairs = [([source_id.get(w, UNKNOWN) for w in source] + [END],
                       [target_id.get(w, UNKNOWN) for w in target] + [END]) for source, target in pairs]

    def __len__(self):
        return (len(self.pairs) + self.rows - 1) // self.rows

    def shuffled(self, generator):
        """Sorted by length within windows of a random order, the batches in a random order, too."""
        order, window = list(self.pairs), WINDOW * self.rows
        generator.shuffle(order)
        for i in range(0, len(order), window):
            order[i:i + window] = sorted(order[i:i + window], key=lambda pair: (len(pair[0]), len(pair[1])))
        starts = list(range(0, len(order), self.rows))
        generator.shuffle(starts)
        return (self.batch(order[i:i + self.rows]) for i in starts)

    def by_length(self):
        order = sorted(self.pairs, key=lambda pair: len(pair[0]))
        return (self.batch(order[i:i + self.rows]) for i in range(0, len(order), self.rows))

    @staticmethod
    def batch(pairs):
        """-> source (B,S), lengths (B), target_in (B,T), real (B,T), target_out (N): of the real tokens."""
        source, target = zip(*pairs)
        lengths = torch.tensor([len(ids) for ids in target])
        padded = pad(target)
        real = torch.arange(padded.shape[1]) < lengths.unsqueeze(1)
        target_in = torch.cat([torch.full((len(pairs), 1), BEGIN), padded[:, :-1]], 1)
        return pad(source), torch.tensor([len(ids) for ids in source]), target_in, real, padded[real]


# ---- learning ----

def initialize(model):
    """As tidegate: embeddings N(0, 0.1^2), recurrent weights of each gate orthogonal, biases zero, others Glorot."""
    for name, p in model.named_parameters():
        if "embedding" in name:
            nn.init.normal_(p, std=0.1)
        elif "weight_hh" in name:
            for gate in p.data.chunk(3):
                nn.init.orthogonal_(gate)
        elif "weight_ih" in name:
            for gate in p.data.chunk(3):
                nn.init.xavier_uniform_(gate)
        elif "bias" in name:
            nn.init.zeros_(p)
        elif name == "attention.v.weight":
            nn.init.uniform_(p, -p.shape[1] ** -0.5, p.shape[1] ** -0.5)
        else:
            nn.init.xavier_uniform_(p)


def rate_at(step, steps, options):
    """Of the base: a linear rise, then the schedule."""
    if step < options.warmup:
        return (step + 1) / options.warmup
    if options.schedule == "constant":
        return 1.0
    after = steps - options.warmup
    return (1 + math.cos(math.pi * (step - options.warmup) / after)) / 2 if after > 0 else 1.0


@torch.inference_mode()
def mean_loss(model, batches):
    """In nats a target token, </s> included."""
    total, tokens = 0.0, 0
    model.eval()
    for source, lengths, target_in, real, target_out in batches.by_length():
        logits = model(source, lengths, target_in, real)
        total += nn.functional.cross_entropy(logits, target_out, reduction="sum").item()
        tokens += len(target_out)
    return total / tokens


def train_epoch(model, batches, adam, schedule, cross_entropy, options):
    """-> mean loss, with label smoothing, and target tokens."""
    total, tokens = 0.0, 0
    model.train()
    for source, lengths, target_in, real, target_out in batches:
        loss = cross_entropy(model(source, lengths, target_in, real), target_out)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        if options.clip > 0:
            nn.utils.clip_grad_norm_(model.parameters(), options.clip)
        adam.step()
        schedule.step()
        total += loss.item() * len(target_out)
        tokens += len(target_out)
    return total / tokens, tokens


def train(model, data, valid, options):
    """Leaves the weights of the best epoch in the model -> its validation loss, and the seconds of all."""
    adam = torch.optim.Adam(model.parameters(), options.lr)
    steps = options.epochs * len(data)
    schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: rate_at(step, steps, options))
    cross_entropy = nn.CrossEntropyLoss(label_smoothing=options.label_smoothing)
    generator, begun = random.Random(options.seed), time.perf_counter()
    best, weights = math.inf, None
    for epoch in range(1, options.epochs + 1):
        start = time.perf_counter()
        loss, tokens = train_epoch(model, data.shuffled(generator), adam, schedule, cross_entropy, options)
        seconds = time.perf_counter() - start
        found = mean_loss(model, valid)
        print(f"epoch {epoch:>3}  train {loss:.4f}  valid {found:.4f}{'  best' if found < best else '':<6}"
              f"  {tokens / seconds:.0f} tokens/s  {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
        if found < best:
            best, weights = found, copy.deepcopy(model.state_dict())
    model.load_state_dict(weights)
    return best, time.perf_counter() - begun


# ---- the program ----

def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in "train", "valid", "out":
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--test")
    for name, standard in {"min-frequency": 1, "max-length": 100, "embed": 128, "hidden": 256, "readout": 0,
                           "epochs": 14, "batch": 32, "warmup": 0, "seed": 1, "threads": 0}.items():
        parser.add_argument("--" + name, type=int, default=standard)
    for name, standard in {"dropout": 0.3, "lr": 3e-3, "clip": 1.0, "label-smoothing": 0.0}.items():
        parser.add_argument("--" + name, type=float, default=standard)
    parser.add_argument("--bidirectional", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--tie", choices=["none", "target"], default="none")
    parser.add_argument("--schedule", choices=["constant", "cosine"], default="cosine")
    options = parser.parse_args()
    readout = {0: options.embed, -1: None}.get(options.readout, options.readout)
    if options.tie == "target" and readout != options.embed:
        parser.error("with tied weights the readout has the size of the embedding")
    options.readout = readout
    return options


def test(model, pairs, source_id, target_id, target_word, options):
    loss = mean_loss(model, Batches(pairs, source_id, target_id, 64))
    model.forbid()
    start = time.perf_counter()
    translations = translate(model, [source for source, _ in pairs], source_id, target_word, rows=256)
    seconds = time.perf_counter() - start
    with open(os.path.join(options.out, "translations.txt"), "w", encoding="utf-8", newline="\n") as file:
        file.writelines(text + "\n" for text in translations)
    return {"loss": loss, "perplexity": math.exp(loss), "pairs": len(pairs), "decoding_seconds": round(seconds, 2)}


def main():
    options = parse()
    torch.set_flush_denormal(True)
    torch.manual_seed(options.seed)
    if options.threads:
        torch.set_num_threads(options.threads)
    os.makedirs(options.out, exist_ok=True)
    pairs = read_pairs(options.train, options.max_length)
    source_word, target_word = (make_vocabulary(side, options.min_frequency) for side in zip(*pairs))
    source_id, target_id = ({word: id for id, word in enumerate(words)} for words in (source_word, target_word))
    data = Batches(pairs, source_id, target_id, options.batch)
    valid = Batches(read_pairs(options.valid, options.max_length), source_id, target_id, options.batch)

    model = EncoderDecoder(len(source_word), len(target_word), options.embed, options.hidden, options.bidirectional,
                           True, options.readout, options.tie == "target", options.dropout)
    initialize(model)
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{len(source_word)} source and {len(target_word)} target tokens, {parameters} parameters, "
          f"{len(data)} batches an epoch, {torch.get_num_threads()} threads", file=sys.stderr)
    best, seconds = train(model, data, valid, options)
    result = {"valid_loss": best, "training_seconds": round(seconds, 1), "parameters": parameters}
    if options.test:
        result.update(test(model, read_pairs(options.test), source_id, target_id, target_word, options))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
