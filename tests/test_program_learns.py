#!/usr/bin/env python3
"""The defaults do well on the shipped data sets: in three minutes of training on two cores.

What is counted is processor time, so that whatever else runs on the machine changes nothing."""
import json
import resource
import sys
import time

import test_program_harness as harness
from test_program_harness import ROOT, expect, succeeds

MOST_SECONDS = 2 * 180


def processor_seconds():
    """What all programs that this one has run and waited for have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def learns(folder, name, least):
    data = ROOT / "datasets" / name
    before = processor_seconds()
    begin = time.monotonic()
    succeeds("train", "translate", "--train", data / "train.tsv", "--valid", data / "valid.tsv", "--out", folder / "run",
             timeout=1200)
    seconds = time.monotonic() - begin
    work = processor_seconds() - before
    values = json.loads(succeeds("evaluate", folder / "run", "--data", data / "test.tsv").out)
    print(f"        {name}: {values['exact_match']:.2%} of {values['pairs']} exact, {seconds:.0f} s, processor {work:.0f} s")
    expect(values["exact_match"] >= least, f"at least {least:.1%} was promised", values)
    expect(work <= MOST_SECONDS, f"it took {work:.0f} s of processor time")


def defaults_learn_dates(folder):
    learns(folder, "dates", 0.995)


def defaults_learn_english_to_french(folder):
    learns(folder, "english-french", 0.995)


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    harness.main([defaults_learn_dates, defaults_learn_english_to_french])
