#!/usr/bin/env python3
"""Runs that were stopped, in whatever way, go on to the same bits as one that was not."""
import random
import signal
import subprocess

import test_program_harness as harness
from test_program_harness import (TINY, contents, differing, expect, fails, succeeds, tiny_pairs, trained, wait_until,
                                  write)

EPOCHS = 30


def arguments(folder, run):
    data = folder / "train.tsv"
    return ["train", "translate", "--train", data, "--valid", data, "--out", run, *TINY, "--epochs", EPOCHS, "--tokenizer",
            "words", "--dropout", 0.1, "--checkpoint-every", 7, "--valid-every", 11, "--schedule", "plateau"]


def straight_run(folder):
    tiny_pairs(folder / "train.tsv")
    succeeds(*arguments(folder, folder / "straight"))
    return folder / "straight"


def start(*what):
    return subprocess.Popen([harness.PROGRAM, *map(str, what)], stderr=subprocess.PIPE, stdout=subprocess.PIPE)


def rows(run):
    """metrics.csv without the columns that are told by the clock."""
    text = (run / "metrics.csv").read_text() if (run / "metrics.csv").exists() else ""
    return [line.split(",")[:6] for line in text.splitlines()]


def equal(run, straight):
    for name in ["last.h5", "best.h5"]:
        different = differing(run / name, straight / name)
        expect(not different, f"{name}:", different)
    expect(rows(run) == rows(straight), "metrics.csv differs", rows(run)[-3:], rows(straight)[-3:])


def killed_at_random_moments_equals_straight(folder):
    straight = straight_run(folder)
    seed = random.randrange(1 << 30)
    at = random.Random(seed)
    print(f"        moments by seed {seed}")
    kills = 0
    for number in range(3):
        run = folder / f"killed{number}"
        child = start(*arguments(folder, run))
        wait_until(lambda: (run / "last.h5").exists() or child.poll() is not None)
        while True:
            try:
                child.communicate(timeout=at.uniform(0.01, 0.4))
                expect(child.returncode == 0, f"resume ended with {child.returncode}")
                break
            except subprocess.TimeoutExpired:
                child.kill()
                child.communicate()
                kills += 1
            at_step = len(rows(run))
            child = start("resume", run)
            wait_until(lambda: len(rows(run)) > at_step + 3 or child.poll() is not None)
        equal(run, straight)
    expect(kills >= 3, f"killed {kills} times only")


def signals_end_with_their_code_and_a_checkpoint(folder):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored, and stays so
    straight = straight_run(folder)
    for number, code in [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]:
        run = folder / f"signal{code}"
        child = start(*arguments(folder, run))
        wait_until(lambda: len(rows(run)) > 5)
        child.send_signal(number)
        err = child.communicate(timeout=60)[1].decode()
        expect(child.returncode == code, f"exit code {child.returncode}", err)
        expect(err.splitlines()[-1].startswith("tidegate: ") and "resume" in err.splitlines()[-1], err)
        succeeds("verify", run / "last.h5")
        succeeds("resume", run)
        equal(run, straight)


def stopped_by_steps_and_continued_equals_straight(folder):
    straight = straight_run(folder)
    run = folder / "steps"
    succeeds(*arguments(folder, run), "--steps", 101)
    said = succeeds("resume", run, "--set", "steps=0")
    expect("steps: 0, was 101" in said.err, said)
    different = differing(run / "last.h5", straight / "last.h5")
    # a run that ends validates there; all that this adds is a validation
    expect(all("training/" in line or "schedule" in line for line in different.splitlines()) or not different, different)


def pieces_of_words_go_on_without_their_codes_file(folder):
    write(folder / "codes", "#version: 0.2\no n\nt w\ns e\n")
    for number, more in enumerate([["--tokenizer", "bpe", "--merges", 9], ["--codes", folder / "codes"],
                                   ["--tokenizer", "bpe", "--joint-vocabulary", "--lowercase"]]):
        data = write(folder / "train.tsv", tiny_pairs(folder / "train.tsv").read_text().replace("o", "O"))
        begin = ["train", "translate", "--train", data, "--valid", data, *TINY, *more, "--schedule", "constant", "--out"]
        straight, run = folder / f"straight{number}", folder / f"run{number}"
        succeeds(*begin, straight, "--epochs", 4)
        succeeds(*begin, run, "--epochs", 2)
        (folder / "codes").rename(folder / "away")
        succeeds("resume", run, "--set", "epochs=4")
        (folder / "away").rename(folder / "codes")
        equal(run, straight)


def damaged_last_goes_back_to_the_one_before(folder):
    straight = straight_run(folder)
    run = folder / "run"
    child = start(*arguments(folder, run))
    wait_until(lambda: (run / "last.h5.1").exists())
    child.kill()
    child.communicate()
    data = bytearray((run / "last.h5").read_bytes())
    data[len(data) // 2] ^= 1
    write(run / "last.h5", bytes(data))
    said = succeeds("resume", run)
    expect("last.h5.1" in said.err, said)
    equal(run, straight)


def resume_refuses_other_data_unless_told(folder):
    run = trained(folder)
    before = contents(run)
    data = folder / "train.tsv"
    text = data.read_text()
    write(data, text.replace("one", "uno"))
    fails("resume", run, "--set", "epochs=3", says="not the data that the run began with")
    data.unlink()
    fails("resume", run, "--set", "epochs=3", says="train.tsv")
    expect(contents(run) == before, "the run was changed")
    moved = write(folder / "moved.tsv", text)
    succeeds("resume", run, "--set", "epochs=3", "--train", moved, "--valid", moved)
    succeeds("resume", run, "--set", "epochs=4")


def other_data_are_told_and_begin_validation_anew(folder):
    run = trained(folder, epochs=4)
    numbers = tiny_pairs(folder / "more.tsv", 60)
    hard = write(folder / "hard.tsv", "9 9\tone one one one one one\n")
    said = succeeds("resume", run, "--set", "epochs=6", "--set", "lr=0.002", "--train", numbers, "--valid", hard)
    for sentence in ["more.tsv: not the train data", "hard.tsv: not the valid data", "the validation data have changed",
                     "the schedule cosine goes on from the rate 0.002"]:
        expect(sentence in said.err, sentence, said)
    best = [line for line in said.err.splitlines() if "(best)" in line]
    expect(best and best[0].startswith("epoch 5 "), "the first validation on other data is the best on them", said)
    said = succeeds("resume", run, "--set", "epochs=7")  # the same data as before this time
    expect("validation data have changed" not in said.err and "not the" not in said.err, said)


def sampling_share_goes_by_the_limit_that_ends_the_run(folder):
    data = tiny_pairs(folder / "train.tsv")
    losses = []
    for limits in [["--steps", 20], ["--steps", 20, "--epochs", 400], ["--steps", 4000, "--epochs", 2], ["--epochs", 2]]:
        run = folder / f"run{len(losses)}"
        succeeds("train", "translate", "--train", data, "--out", run, *TINY, "--tokenizer", "words", "--quiet", "--schedule",
                 "constant", "--dropout", 0, "--sampling", "linear", "--sampling-rate", 1, *limits)
        losses.append(rows(run)[20])
    expect(all(row == losses[0] for row in losses), *losses)


def closing_line_names_the_file_that_translate_uses(folder):
    run = trained(folder)
    expect(f"The model is {run}/best.h5" in succeeds("resume", run).err, "best.h5 is not named")
    (run / "best.h5").unlink()
    expect(f"The model is {run}/last.h5" in succeeds("resume", run).err, "last.h5 is not named")


def set_changes_a_run_but_not_its_model(folder):
    run = trained(folder)
    before = contents(run)
    for name, code, says in [("hidden=5", 2, "hidden was settled"), ("seed=5", 2, "seed was settled"),
                             ("epochs", 2, "NAME=VALUE"), ("epochs=x", 2, "not 'x'"), ("size=3", 2, "no option 'size'"),
                             ("out=x", 2, "out was settled")]:
        fails("resume", run, "--set", name, code=code, says=says)
    expect(contents(run) == before, "the run was changed")
    said = succeeds("resume", run, "--set", "epochs=3", "--set", "lr=0.001")
    expect("epochs: 3, was 2" in said.err and "lr: 0.001, was 0" in said.err, said)
    expect(len(rows(run)) == 31, "the run did not go on")
    fails("resume", folder, says="last.h5")
    fails("resume", folder / "nowhere", says="nowhere")


def a_run_that_is_done_stays_as_it_is(folder):
    run = trained(folder)
    before = (run / "last.h5").read_bytes()
    succeeds("resume", run)
    expect((run / "last.h5").read_bytes() == before, "the checkpoint was changed")


def two_trainers_do_not_share_a_directory(folder):
    tiny_pairs(folder / "train.tsv")
    run = folder / "run"
    child = start(*arguments(folder, run), "--epochs", 100000)
    wait_until(lambda: (run / "last.h5").exists())
    fails("resume", run, says="another trainer")
    child.kill()
    child.communicate()


if __name__ == "__main__":
    harness.main([killed_at_random_moments_equals_straight, signals_end_with_their_code_and_a_checkpoint,
                  stopped_by_steps_and_continued_equals_straight, pieces_of_words_go_on_without_their_codes_file, damaged_last_goes_back_to_the_one_before,
                  resume_refuses_other_data_unless_told, other_data_are_told_and_begin_validation_anew,
                  sampling_share_goes_by_the_limit_that_ends_the_run, closing_line_names_the_file_that_translate_uses, set_changes_a_run_but_not_its_model,
                  a_run_that_is_done_stays_as_it_is, two_trainers_do_not_share_a_directory])
