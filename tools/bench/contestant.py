"""How a Python program takes part in compare.py: contestant.h says what passes between them."""
import sys
import time


def serve(work, least):
    """Until standard input ends. At least `least` pieces of work for each line."""
    for line in sys.stdin:
        words = line.split()
        if not words or words[0] != "go":
            break
        budget, start, seconds = float(words[1]) * 1e-3, time.perf_counter(), []
        while time.perf_counter() - start < budget or len(seconds) < least:
            before = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - before)
        seconds.sort()
        print("%.9g %d" % (seconds[len(seconds) // 2], len(seconds)), flush=True)
