#!/usr/bin/python3
"""Times tidegate beside PyTorch: several processes, asked in turn in one run, so that all see the same machine. The
figure is the ratio of medians.

    compare.py gru [T,B,I,H ...]     the training step of the recurrent layer, beside nn.GRU
    compare.py training              the training step of the translation model
    compare.py decoding              greedy translations of a test set, with the same weights

PyTorch: Debian's python3-torch, with the OpenMP build of OpenBLAS (libopenblas0-openmp) if it is installed, which is
its best setting, and the same OpenBLAS core as ours; decoding needs python3-h5py, too.
"""
import argparse
import glob
import os
import re
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "..", "..", "datasets", "english-french")
GRU_SIZES = ["50,64,256,512", "50,1,128,128"]
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

    def peer(self, name, script, *arguments):
        command = ["/usr/bin/python3", os.path.join(HERE, script), *map(str, arguments)]
        self.contestants.append(Contestant(name, command, self.torch))

    def ours(self, name, program, *arguments):
        command = [os.path.join(self.options.build, "tools", "bench", program), *map(str, arguments)]
        self.contestants.append(Contestant(name, command, self.shared))

    def run(self):
        for _ in range(self.options.rounds):
            for contestant in self.contestants:
                contestant.go(self.options.milliseconds)
        for contestant in self.contestants:
            contestant.stop()

    def tell(self, rates):
        """rates: the name of a column -> how much of it is in one piece of work. Then, for each peer, how many times as
        fast as it everyone is."""
        peers = [c for c in self.contestants if c.name.startswith("PyTorch")]
        print(f"{'contestant':<24} {'ms':>10} " + " ".join(f"{name:>16}" for name in rates) +
              "".join(f" {'x ' + c.name:>20}" for c in peers))
        for c in self.contestants:
            print(f"{c.name:<24} {c.seconds() * 1e3:>10.3f} " +
                  " ".join(f"{amount / c.seconds():>16.1f}" for amount in rates.values()) +
                  "".join(f" {peer.seconds() / c.seconds():>19.2f}x" for peer in peers))
        for ready in dict.fromkeys(c.ready[6:] for c in self.contestants):
            print(f"    {ready}")


def blas_core():
    """What the library itself would set where OpenBLAS does not know the processor."""
    flags = open("/proc/cpuinfo").read()
    return "SkylakeX" if "avx512vl" in flags else "Haswell" if "avx2" in flags else None


# ---- the recurrent layer ----

def compare_gru(options):
    for size in options.sizes or GRU_SIZES:
        T, B, I, H = map(int, size.split(","))
        arguments = T, B, I, H, options.threads
        race = Race(options)
        race.peer("PyTorch nn.GRU", "torch_gru_step.py", *arguments)
        race.ours("tidegate reset-after", "gru_step", *arguments, "gru-reset-after")
        race.ours("tidegate reset-before", "gru_step", *arguments, "gru")
        race.run()
        print(f"T,B,I,H = {size}")
        race.tell({"GFLOP/s": 6e-9 * T * B * 3 * H * (I + H)})


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
        race.peer("PyTorch", "torch_translate_all.py", model, options.data, paths[0], options.threads)
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
    commands = parser.add_subparsers(required=True, metavar="gru|training|decoding")

    gru = commands.add_parser("gru", parents=[common])
    gru.add_argument("sizes", nargs="*", metavar="T,B,I,H")
    gru.set_defaults(run=compare_gru)
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
