#!/usr/bin/env python3
"""floors.py ROOT NM LIBRARY...: includes and symbols point down only.

Each folder of src/ is a room on a floor. A file includes its own room, and rooms on lower floors;
public headers count as the room that keeps their promises. Dependencies have one room each. What
lies in tools/ uses public headers only. In the static libraries (.a; others are passed over), each
symbol that an object file uses is defined in its own room or on a lower floor. Each check is first
tried on planted faults.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

FLOORS = [
    "core",
    "kernels tensor",
    "hdf5 losses machine ops params",
    "layers optim data metrics",
    "checkpoint",
    "models",
    "interop train",
]
FLOOR = {room: n for n, rooms in enumerate(FLOORS) for room in rooms.split()}

# public header -> the room behind it
PUBLIC = {
    "cells": "core",  # the list of cells: names alone
    "core": "core", "tensor": "core",  # the struct alone: a context has a harmless tensor to hand back
    "blas": "machine", "measure": "machine", "tape": "tensor", "archive": "tensor",
    "ops": "ops", "losses": "losses", "params": "params", "optimizer": "optim",
    "embedding": "layers", "linear": "layers", "rnn": "layers", "attention": "layers", "attention_rnn": "layers",
    "tokenizer": "data", "vocabulary": "data", "pairs": "data", "text": "data", "batches": "data",
    "metrics": "metrics", "checkpoint": "checkpoint",
    "decoding": "models", "encoder_decoder": "models", "translator": "models", "train": "train",
}
# dependency's header -> the only rooms that may include it
ONLY_IN = {
    "hdf5.h": {"hdf5"}, "cblas.h": {"kernels", "machine"}, "openblas_config.h": {"kernels"},
    "xxhash.h": {"hdf5", "checkpoint", "data", "metrics"}, "pthread.h": {"core", "hdf5"},
    "utf8proc.h": {"core", "data", "metrics"},
}
INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')


def included_room(path):
    """The room that an include leads to, or None for a system header."""
    if path.startswith("tidegate/"):
        return PUBLIC.get(pathlib.PurePath(path).stem, "unknown")
    return path.split("/")[0] if "/" in path and path.split("/")[0] in FLOOR else None


def check_include(room, quote, path, folder):
    """What is wrong with an include in that room; None if nothing is."""
    if path in ONLY_IN and room not in ONLY_IN[path]:
        return f"{path} belongs in {' or '.join(sorted(ONLY_IN[path]))}"
    if quote == '"' and "/" not in path and not (folder / path).exists():
        return f'"{path}" is not in this folder: name it by its floor'
    other = included_room(path)
    if other is None or other == room:
        return None
    if other not in FLOOR:
        return f"{path} belongs to no floor: add it to {pathlib.Path(__file__).name}"
    if FLOOR[other] >= FLOOR[room]:
        return f"{room} (floor {FLOOR[room]}) includes {other} (floor {FLOOR[other]})"
    return None


def check_tool(quote, path, folder):
    if quote == '"' and not (folder / path).exists():
        return f'"{path}": tools use public headers, <tidegate/...>, only'
    return None


def check(root):
    wrong = []
    for top in ("src", "tools"):
        for file in sorted((root / top).rglob("*.[ch]")):
            room = file.relative_to(root).parts[1]
            if top == "src" and room not in FLOOR:
                wrong.append(f"{file}: the room {room} is on no floor")
                continue
            for number, line in enumerate(file.read_text().splitlines(), 1):
                found = INCLUDE.match(line)
                if not found:
                    continue
                what = check_include(room, *found.groups(), file.parent) if top == "src" else \
                    check_tool(*found.groups(), file.parent)
                if what:
                    wrong.append(f"{file}:{number}: {what}")
    return wrong


# a line of nm -A: the object file is named after its source, src_ROOM_FILE.c.o
SYMBOL = re.compile(r".*[:/_]src_([a-z0-9]+)_(\S+)\.c\.o:[0-9a-f ]*\s([A-Za-z])\s(\S+)$")


def read_symbols(nm_output):
    """[(room, file, kind, name)]"""
    return [found.groups() for found in map(SYMBOL.match, nm_output.splitlines()) if found]


def check_symbols(symbols):
    room_of = {name: room for room, _, kind, name in symbols if kind not in "Uvw"}
    wrong = {f"{room} on no floor" for room, *_ in symbols if room not in FLOOR}
    for room, file, kind, name in symbols:
        other = room_of.get(name, room)
        if kind in "Uvw" and other != room and {room, other} <= FLOOR.keys() and FLOOR[other] >= FLOOR[room]:
            wrong.add(f"{room}/{file}.c (floor {FLOOR[room]}) uses {name} of {other} (floor {FLOOR[other]})")
    return sorted(wrong)


def check_library(root, nm, library):
    done = subprocess.run([nm, "-A", "--extern-only", library], text=True, capture_output=True, check=True)
    symbols = read_symbols(done.stdout)
    missing = {file.relative_to(root / "src").parts[0] for file in (root / "src").rglob("*.c")} - {s[0] for s in symbols}
    return [f"{library}: {what}" for what in check_symbols(symbols) + [f"no symbol of {room}" for room in sorted(missing)]]


def finds_wrong_symbols():
    at = "libtidegate.a:build/libtidegate-all.a.p/"
    found = check_symbols(read_symbols(f"""
{at}src_models_translator.c.o:0000000000000010 T tg_translator_open
{at}src_checkpoint_restore.c.o:00000000000000a0 T tg_checkpoint_restore
{at}src_checkpoint_restore.c.o:                 U tg_translator_open
{at}src_models_translator.c.o:                 U tg_checkpoint_restore
{at}src_models_beam.c.o:                 U tg_translator_open
{at}src_losses_targets.c.o:                 U tg__ops_op
libtidegate.a:src_ops_simd_op.c.o:0000000000000000 R tg__ops_op
libtidegate.a:src_attic_box.c.o:                 U malloc
"""))
    return found == ["attic on no floor", "checkpoint/restore.c (floor 4) uses tg_translator_open of models (floor 5)",
                     "losses/targets.c (floor 2) uses tg__ops_op of ops (floor 2)"]


def finds_planted_faults():
    faults = {
        "src/kernels/a.c": '#include "layers/rnn.h"', "src/tensor/b.c": '#include "kernels/blas.h"',
        "src/ops/c.c": "#include <tidegate/train.h>", "src/data/d.c": "#include <hdf5.h>",
        "src/core/e.c": '#include "nowhere.h"', "src/attic/f.c": "", "tools/x/g.c": '#include "core/arena.h"',
    }
    sound = {"src/layers/h.c": '#include "layers/h.h"\n#include <stdio.h>\n#include <tidegate/tape.h>',
             "tools/x/i.c": "#include <tidegate/tidegate.h>"}
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for path, text in {**faults, **sound}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text + "\n")
        found = "\n".join(check(root))
    return all(path in found for path in faults) and not any(path in found for path in sound)


if __name__ == "__main__":
    if not finds_planted_faults() or not finds_wrong_symbols():
        sys.exit("floors.py does not find faults that were planted")
    root, nm = pathlib.Path(sys.argv[1]), sys.argv[2]
    libraries = [library for library in sys.argv[3:] if library.endswith(".a")]
    wrong = check(root) + [what for library in libraries for what in check_library(root, nm, library)]
    print("\n".join(wrong) or f"includes, and symbols in {len(libraries)} libraries, point down only")
    sys.exit(bool(wrong))
