#!/usr/bin/python3
"""Times our GRU training step beside PyTorch's nn.GRU: several processes, asked in turn in one run,
so that both see the same machine. The figure is the ratio of medians.

    tools/bench/compare.py [--build DIR] [--threads N] [--rounds N] [--milliseconds N] [T,B,I,H ...]

PyTorch: Debian's python3-torch, with the OpenMP build of OpenBLAS (libopenblas0-openmp) if it is
installed, which is its best setting, and the same OpenBLAS core as ours.
"""
import argparse
import glob
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SIZES = ["50,64,256,512", "50,1,128,128"]


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

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def blas_core():
    """What the library itself would set where OpenBLAS does not know the processor."""
    flags = open("/proc/cpuinfo").read()
    return "SkylakeX" if "avx512vl" in flags else "Haswell" if "avx2" in flags else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(HERE, "..", "..", "build"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--milliseconds", type=int, default=1000)
    parser.add_argument("sizes", nargs="*", default=SIZES, metavar="T,B,I,H")
    options = parser.parse_args()

    core = os.environ.get("OPENBLAS_CORETYPE") or blas_core()
    shared = {"OPENBLAS_CORETYPE": core} if core else {}
    openmp = glob.glob("/usr/lib/*/openblas-openmp")
    torch = {**shared, "OMP_NUM_THREADS": str(options.threads), "OMP_PROC_BIND": "true",
             "ATEN_CPU_CAPABILITY": "avx512" if core == "SkylakeX" else "avx2"}
    if openmp:
        torch["LD_LIBRARY_PATH"] = openmp[0]
    ours = os.path.join(options.build, "tools", "bench", "gru_step")
    print(f"{'T,B,I,H':>16} {'contestant':>24} {'ms':>10} {'GFLOP/s':>8} {'against PyTorch':>16}")
    for size in options.sizes or SIZES:
        T, B, I, H = map(int, size.split(","))
        arguments = [str(n) for n in (T, B, I, H, options.threads)]
        contestants = [
            Contestant("PyTorch nn.GRU", ["/usr/bin/python3", os.path.join(HERE, "torch_gru_step.py"), *arguments], torch),
            Contestant("tidegate reset-after", [ours, *arguments, "gru-reset-after"], shared),
            Contestant("tidegate reset-before", [ours, *arguments, "gru"], shared),
        ]
        for _ in range(options.rounds):
            for contestant in contestants:
                contestant.go(options.milliseconds)
        operations = 6 * T * B * 3 * H * (I + H)
        peer = statistics.median(contestants[0].medians)
        for contestant in contestants:
            seconds = statistics.median(contestant.medians)
            print(f"{size:>16} {contestant.name:>24} {seconds * 1e3:>10.3f} {operations / seconds * 1e-9:>8.1f} "
                  f"{peer / seconds:>15.2f}x")
            contestant.stop()
        print(f"{'':>16} {contestants[1].ready[6:]}; {contestants[0].ready[6:]}")


if __name__ == "__main__":
    main()
