#!/usr/bin/python3
"""Times tidegate beside PyTorch and oneDNN: several processes, asked in turn in one run, so that all see the same machine.
The figure is the ratio of medians.

    compare.py gru [T,B,I,H ...]     the training step of the recurrent layer; --table and --picture keep the result
    compare.py padding [T,B,I,H ...] the same of a batch that is half padding, beside the full one
    compare.py streaming [H ...]     one row, step by step, with the state carried along
    compare.py language              the training step of a character language model
    compare.py training              the training step of the translation model
    compare.py decoding              greedy translations of a test set, with the same weights

PyTorch: Debian's python3-torch, with the OpenMP build of OpenBLAS (libopenblas0-openmp) if it is installed, which is
its best setting, and the same OpenBLAS core as ours; decoding needs python3-h5py, too. oneDNN: where libdnnl-dev was
installed when tidegate was built. Peers of the recurrent layer run with one thread, too, and the faster counts.
"""
import argparse
import glob
import os
import re
import statistics
import subprocess
import sys
import tempfile

import picture

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "..", "..", "datasets", "english-french")
GRU_SIZES = ["20,1,64,64", "50,1,128,128", "32,16,128,128", "50,32,128,256", "35,20,650,650", "50,64,256,512",
             "100,128,512,1024"]
STREAM_SIZES = ["64", "128", "256", "512"]
DECODERS = {rows: f"PyTorch {rows} rows" for rows in (128, 256)}  # at once; tidegate takes 256
LANGUAGE = 65, 128, 256, 2, 32, 64  # V, E, H, layers, B, T
V, E, H, B, T = 8000, 256, 512, 64, 20  # of the translation model; its attention has H units


class Contestant:
    def __init__(self, name, command, environment):
        self.name, self.medians = name, []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **environment})
        self.ready = self.process.stdout.readline().strip()
        if not self.ready.startswith("ready"):
            sys.exit(f"compare: {name} did not start: {command}")

    def go(self, milliseconds):
        self.process.stdin.write(f"go {milliseconds}\n")
        self.process.stdin.flush()
        self.medians.append(float(self.process.stdout.readline().split()[0]))

    def seconds(self):
        return statistics.median(self.medians)

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Race:
    """Who takes part, and in which surroundings."""

    def __init__(self, options):
        core = os.environ.get("OPENBLAS_CORETYPE") or blas_core()
        openmp = glob.glob("/usr/lib/*/openblas-openmp")
        self.options = options
        self.shared = {"OPENBLAS_CORETYPE": core} if core else {}
        self.torch = {**self.shared, "OMP_NUM_THREADS": str(options.threads), "OMP_PROC_BIND": "true",
                      "ATEN_CPU_CAPABILITY": "avx512" if core == "SkylakeX" else "avx2"}
        if openmp:
            self.torch["LD_LIBRARY_PATH"] = openmp[0]
        self.contestants = []

    def program(self, name):
        return os.path.join(self.options.build, "tools", "bench", name)

    def peer(self, name, script, *arguments):
        command = ["/usr/bin/python3", os.path.join(HERE, script), *map(str, arguments)]
        self.contestants.append(Contestant(name, command, self.torch))

    def ours(self, name, program, *arguments):
        self.contestants.append(Contestant(name, [self.program(program), *map(str, arguments)], self.shared))

    def onednn(self, name, *arguments):
        """Where it was built."""
        if os.path.exists(self.program("onednn_gru_step")):
            command = [self.program("onednn_gru_step"), *map(str, arguments)]
            self.contestants.append(Contestant(name, command, {"OMP_PROC_BIND": "true"}))

    def run(self):
        for _ in range(self.options.rounds):
            for contestant in self.contestants:
                contestant.go(self.options.milliseconds)
        for contestant in self.contestants:
            contestant.stop()

    def best(self, name):
        """The seconds of the fastest whose name begins so; None if there is none."""
        return min((c.seconds() for c in self.contestants if c.name.startswith(name)), default=None)

    def tell(self, rates):
        """rates: the name of a column -> how much of it is in one piece of work. Then, for each peer, how many times as
        fast as it everyone is."""
        names = ("PyTorch", "PyTorch usual", "PyTorch hoisted", *DECODERS.values())
        peers = [c for c in self.contestants if c.name in names]
        print(f"{'contestant':<32} {'ms':>10} " + " ".join(f"{name:>16}" for name in rates) +
              "".join(f" {'x ' + c.name:>20}" for c in peers))
        for c in self.contestants:
            print(f"{c.name:<32} {c.seconds() * 1e3:>10.3f} " +
                  " ".join(f"{amount / c.seconds():>16.1f}" for amount in rates.values()) +
                  "".join(f" {peer.seconds() / c.seconds():>19.2f}x" for peer in peers))
        for ready in dict.fromkeys(c.ready[6:] for c in self.contestants):
            print(f"    {ready}")


def blas_core():
    """What the library itself would set where OpenBLAS does not know the processor."""
    flags = open("/proc/cpuinfo").read()
    return "SkylakeX" if "avx512vl" in flags else "Haswell" if "avx2" in flags else None


# ---- the recurrent layer ----

CELLS = {"gru": "reset before", "gru-reset-after": "reset after"}
ENOUGH_FOR_ALL = 1 << 22  # multiply-adds of a step, from which on no peer is faster with one thread


def counted(threads):
    return f"{threads} thread{'s' * (threads > 1)}"


def threads_of_peers(options, multiply_adds):
    return [options.threads] if options.threads == 1 or multiply_adds >= ENOUGH_FOR_ALL else [options.threads, 1]


def tell_ratios(race, title):
    """-> the row of the table: PyTorch has but the cell with reset after, so it is the peer of that alone."""
    row = {"title": title}
    for cell, words in CELLS.items():
        ours = race.best(f"tidegate {words}")
        row[cell] = {"seconds": ours,
                     **{peer: race.best(name) / ours if race.best(name) else None
                        for peer, name in (("oneDNN", f"oneDNN {words}"),
                                           ("PyTorch", "PyTorch" if cell == "gru-reset-after" else "-"))}}
        told = ", ".join(f"{row[cell][peer]:.2f}x {peer}" for peer in ("oneDNN", "PyTorch") if row[cell][peer])
        print(f"    {words}: {told}")
    sys.stdout.flush()
    return row


def keep(options, rows, unit, scale):
    if options.table:
        with open(options.table, "w", encoding="utf-8") as file:
            file.write(f"| size | cell | tidegate, {unit} | beside oneDNN | beside PyTorch |\n|---|---|---|---|---|\n")
            for row in rows:
                for cell, words in CELLS.items():
                    ratios = [f"{row[cell][peer]:.2f}x" if row[cell][peer] else "-" for peer in ("oneDNN", "PyTorch")]
                    file.write(f"| {row['title']} | {words} | {row[cell]['seconds'] * scale:.3g} | "
                               f"{' | '.join(ratios)} |\n")
    if options.picture:
        picture.write(options.picture, "How many times as fast tidegate is", [
            (f"{row['title']}, {words}", {peer: row[cell][peer] for peer in ("oneDNN", "PyTorch") if row[cell][peer]})
            for row in rows for cell, words in CELLS.items()])


def compare_gru(options):
    rows = []
    for size in options.sizes or GRU_SIZES:
        T, B, I, H = map(int, size.split(","))
        race = Race(options)
        for threads in threads_of_peers(options, B * 3 * H * (I + H)):
            race.peer(f"PyTorch nn.GRU, {counted(threads)}", "torch_gru_step.py", T, B, I, H, threads)
            for cell, words in CELLS.items():
                race.onednn(f"oneDNN {words}, {counted(threads)}", T, B, I, H, threads, cell)
        for cell, words in CELLS.items():
            race.ours(f"tidegate {words}", "gru_step", T, B, I, H, options.threads, cell)
        race.run()
        print(f"T,B,I,H = {size}")
        race.tell({"GFLOP/s": 6e-9 * T * B * 3 * H * (I + H)})
        rows.append(tell_ratios(race, f"({size.replace(',', ', ')})"))
    keep(options, rows, "ms", 1e3)


def compare_padding(options):
    for size in options.sizes or ["50,64,256,512"]:
        race = Race(options)
        arguments = *size.split(","), options.threads
        for cell, words in CELLS.items():
            race.ours(f"full, {words}", "gru_step", *arguments, cell)
            race.ours(f"half padding, {words}", "gru_step", *arguments, cell, "ragged")
        race.run()
        print(f"T,B,I,H = {size}")
        race.tell({})
        for words in CELLS.values():
            print(f"    {words}: {race.best(f'half padding, {words}') / race.best(f'full, {words}'):.2f} of the full batch")


def compare_streaming(options):
    STEPS = 100  # of a piece of work
    rows = []
    for H in map(int, options.sizes or STREAM_SIZES):
        race = Race(options)
        for threads in dict.fromkeys((options.threads, 1)):
            race.peer(f"PyTorch GRUCell, {counted(threads)}", "torch_gru_stream.py", H, threads)
            for cell, words in CELLS.items():
                race.onednn(f"oneDNN {words}, {counted(threads)}", 1, 1, H, H, threads, cell, "forward")
        for cell, words in CELLS.items():
            race.ours(f"tidegate {words}", "gru_stream", H, options.threads, cell)
        race.run()
        print(f"I = H = {H}, {STEPS} steps")
        race.tell({"GB/s of weights": STEPS * 4e-9 * 6 * H * H})
        rows.append(tell_ratios(race, f"I = H = {H}"))
    keep(options, rows, "us a step", 1e6 / STEPS)


# ---- a language model ----

def compare_language(options):
    V, E, H, layers, B, T = LANGUAGE
    race = Race(options)
    race.peer("PyTorch", "torch_language_model_step.py", *LANGUAGE, options.threads)
    race.ours("tidegate", "language_model_step", *LANGUAGE, options.threads)
    race.run()
    print(f"V = {V}, E = {E}, {layers} layers of H = {H}, {B} rows of {T} characters")
    race.tell({"characters/s": T * B})


# ---- the translation model, trained ----

def parameters():
    """How many the peer has, and we. Both: two embeddings, the encoder and the decoder with two biases, attention, the
    output layer. The peer alone: biases of attention's three linear layers. Ours alone: the bridge, from the encoder's
    last state to the decoder's first."""
    both = 2 * V * E + 3 * H * (E + H + 2) + 3 * H * (E + H + H + 2) + 2 * H * H + H + (H + H + E + 1) * V
    return both + 2 * H + 1, both + H * H + H


def operations():
    """Of a training step, the peer's; ours are those and the bridge's. Backward costs twice forward."""
    encoder, decoder = 3 * H * (E + H), 3 * H * (E + H + H)
    attention = 2 * H * H + T * (H + H)  # W_q and W_k, scores and sums
    output = (H + H + E) * V
    return 6 * T * B * (encoder + decoder + attention + output)


def check_parameters(race):
    peer, ours = parameters()
    for contestant in race.contestants:
        found = int(re.search(r"(\d+) parameters", contestant.ready).group(1))
        expected = peer if contestant.name.startswith("PyTorch") else ours
        if found != expected:
            sys.exit(f"compare: {contestant.name} has {found} parameters, expected {expected}")
    print(f"parameters: PyTorch {peer:,}, tidegate {ours:,} "
          f"(+{H * H + H:,} bridge, -{2 * H + 1:,} biases of attention)")


def compare_training(options):
    race = Race(options)
    arguments = V, E, H, B, T, options.threads
    race.peer("PyTorch usual", "torch_translation_step.py", *arguments, "usual")
    race.peer("PyTorch hoisted", "torch_translation_step.py", *arguments, "hoisted")
    race.ours("tidegate", "translation_step", *arguments)
    check_parameters(race)
    race.run()
    print(f"V = {V}, E = {E}, H = {H}, {B} pairs of {T} tokens; ours does {6 * B * H * H * 1e-9:.1f} GFLOP more, "
          "which are not counted")
    race.tell({"target tokens/s": T * B, "GFLOP/s": operations() * 1e-9})


# ---- the translation model, translating ----

def write_padded(path):
    """The training text, and lines that bring both vocabularies to V words with words of their own."""
    text = open(os.path.join(DATA, "train.tsv"), encoding="utf-8").read()
    known = [set(), set()]
    for line in text.splitlines():
        for side, words in enumerate(line.split("\t")):
            known[side].update(words.split())
    extra = [[f"word{i}" for i in range(V - 4 - len(words))] for words in known]
    longest = max(map(len, extra))
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
        for i in range(0, longest, 20):  # the shorter side goes on with words it has had
            file.write("\t".join(" ".join(words[i:i + 20] or words[:20]) for words in extra) + "\n")


def make_model(options):
    """Weights that know when a sentence ends: a model of these sizes, trained for a while; made once."""
    directory = os.path.join(options.build, "bench-model")
    best = os.path.join(directory, "best.h5")
    if os.path.exists(best):
        return best
    with tempfile.TemporaryDirectory() as folder:
        train = os.path.join(folder, "train.tsv")
        write_padded(train)
        subprocess.run([os.path.join(options.build, "tools", "tidegate", "tidegate"), "train", "translate",
                        "--train", train, "--valid", os.path.join(DATA, "valid.tsv"), "--out", directory, "--force",
                        "--tokenizer", "words", "--cell", "gru-reset-after", "--no-bidirectional", "--readout", "-1",
                        "--embed", str(E), "--hidden", str(H), "--batch", str(B), "--lr", "0.001",
                        "--epochs", str(options.epochs)], check=True)
    return best


def different(paths):
    with open(paths[0]) as one, open(paths[1]) as other:
        return sum(a != b for a, b in zip(one.readlines(), other.readlines(), strict=True))


def compare_decoding(options):
    model = options.model or make_model(options)
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("peer", "ours")]
        race = Race(options)
        for rows, name in DECODERS.items():
            race.peer(name, "torch_translate_all.py", model, options.data, paths[0], options.threads, rows)
        race.ours("tidegate", "translate_all", model, options.data, paths[1], options.threads)
        with open(paths[1]) as file:
            lines = file.readlines()
        differing = different(paths)
    race.run()
    tokens = sum(len(line.split()) + 1 for line in lines)
    print(f"{len(lines)} sentences, {tokens} tokens of translation; {differing} translations differ")
    race.tell({"sentences/s": len(lines), "target tokens/s": tokens})
    if differing > options.most_different:
        sys.exit(f"compare: {differing} of {len(lines)} translations differ: these are not the same models")


def main():
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--build", default=os.path.join(HERE, "..", "..", "build"))
    common.add_argument("--threads", type=int, default=2)
    common.add_argument("--rounds", type=int, default=7)
    common.add_argument("--milliseconds", type=int, default=1000, help="of each contestant in each round")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="gru|padding|streaming|language|training|decoding")

    for name, sizes, run in ("gru", "T,B,I,H", compare_gru), ("streaming", "H", compare_streaming):
        layer = commands.add_parser(name, parents=[common])
        layer.add_argument("sizes", nargs="*", metavar=sizes)
        layer.add_argument("--table", metavar="FILE.md", help="write the ratios as a table")
        layer.add_argument("--picture", metavar="FILE.svg", help="draw them")
        layer.set_defaults(run=run)
    padding = commands.add_parser("padding", parents=[common])
    padding.add_argument("sizes", nargs="*", metavar="T,B,I,H")
    padding.set_defaults(run=compare_padding)
    commands.add_parser("language", parents=[common]).set_defaults(run=compare_language)
    commands.add_parser("training", parents=[common]).set_defaults(run=compare_training)
    decoding = commands.add_parser("decoding", parents=[common])
    decoding.add_argument("--model", help="a checkpoint with additive attention and --cell gru-reset-after (default: "
                          f"one of {V} words, trained on datasets/english-french and kept in BUILD/bench-model)")
    decoding.add_argument("--data", default=os.path.join(DATA, "test.tsv"),
                          help="parallel text, whose first column is translated")
    decoding.add_argument("--epochs", type=int, default=2, help="that the default model is trained")
    decoding.add_argument("--most-different", type=int, default=0, help="fail if more translations differ "
                          "(a rounding error decides between two words now and then)")
    decoding.set_defaults(run=compare_decoding)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
