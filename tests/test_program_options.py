#!/usr/bin/env python3
"""Options of the program: help, wrong usage, what would do nothing, and how settings are kept."""
import os
import re

import test_program_harness as harness
from test_program_harness import CELLS, TINY, contents, differing, expect, fails, succeeds, tiny_pairs, trained, write

COMMANDS = ["train", "train translate", "resume", "translate", "evaluate", "score", "plot", "inspect", "verify", "seal",
            "doctor", "bench"]
# nothing of this is there: whatever these report, they report without reading any data
NOWHERE = ["train", "translate", "--train", "nowhere.tsv", "--out", "nowhere/run"]


# ---- help ----

def help_is_within_80_columns_and_has_two_examples(folder):
    for command in COMMANDS:
        run = succeeds(*command.split(), "--help")
        expect(all(len(line) <= 80 for line in run.out.splitlines()), "a line is too long:", run)
        examples = run.out.split("\nexamples:\n")[1].split("\n\n")[0]
        expect(len(re.findall("^  (?! ).*tidegate", examples, re.M)) == 2, "two examples:", run)
        expect("options:" not in run.out or "'--no-name'" in run.out and "'--name=value'" in run.out, run)
        expect(succeeds("help", *command.split()).out == run.out, f"help {command} tells something else")
    for alone in [["--help"], ["help"], ["-h"]]:
        expect(all(len(line) <= 80 for line in succeeds(*alone).out.splitlines()), alone)


def help_of_train_has_groups_marks_and_presets(folder):
    text = succeeds("help", "train").out
    places = [text.index(f"\n{group}:\n") for group in "data text model learning run examples".split()]
    expect(places == sorted(places), "the groups are not in order:", text)
    for option in ["--train FILE", "--out DIR"]:
        expect("(required)" in text.split(f"\n  {option}")[1].split("\n  --")[0], f"{option} is not marked:", text)
    expect(re.search(r"\n  --hidden +256 +320 +512\n", text), "what --preset sets:", text)


def nobody_is_left_without_help(folder):
    run = harness.Run()
    expect(run.code == 2 and not run.out and "usage: tidegate COMMAND" in run.err and "translate" in run.err, run)
    expect(succeeds("-V").out == succeeds("--version").out, "-V")
    fails("help", "sing", code=2, says="there is no command 'sing'")
    fails("help", "train", "translate", "more", code=2, says="one argument too many: 'more'")


def a_name_that_is_nearly_right_is_asked_for(folder):
    for arguments, meant in [(["trian"], "train"), (["evalute", "run"], "evaluate"), (["--verson"], "--version"),
                             (["help", "resum"], "resume"), (["train", "translat"], "translate"),
                             ([*NOWHERE, "--epoch", "3"], "--epochs"), ([*NOWHERE, "--checkpoint", "3"], "--checkpoint-every"),
                             ([*NOWHERE, "--no-bidirektional"], "--no-bidirectional"),
                             ([*NOWHERE, "--attention", "aditive"], "additive"),
                             ([*NOWHERE, "--schedule", "inverse_sqrt"], "inverse-sqrt"),
                             (["resume", "nowhere", "--set", "epoch=3"], "epochs"),
                             (["resume", "nowhere", "--epochs", "3"], "--set epochs=VALUE")]:
        fails(*arguments, code=2, says=f"; did you mean '{meant}'?")
    for arguments in [["sing"], [*NOWHERE, "--loud"], [*NOWHERE, "--cell", "transformer"]]:
        run = fails(*arguments, code=2)
        expect("did you mean" not in run.err, run)


def a_missing_argument_is_named(folder):
    for arguments, says in [(["resume"], "resume: DIR is missing"), (["translate"], "translate: MODEL is missing"),
                            (["plot"], "plot: DIR is missing"), (["verify"], "verify: MODEL is missing"),
                            (["evaluate", "model"], "--data FILE is missing"), (["score"], "--reference FILE is missing"),
                            (["train", "translate", "--train", "--out", "run"], "--train takes a value (FILE), but '--out' follows"),
                            ([*NOWHERE, "--cell"], f"--cell takes a value ({'|'.join(CELLS)})")]:
        fails(*arguments, code=2, says=says)


# ---- wrong usage is found before any data is read ----

# of every option that acts only with another one: a value that asks for something
ASKING = {"merges": 100, "codes": "codes", "pretokenized": "yes", "input-feeding": None, "coverage": None, "momentum": 0.5, "dampening": 0.5,
          "beta1": 0.8, "beta2": 0.8, "rmsprop-alpha": 0.8, "epsilon": 0.001, "period": 10, "gamma": 0.5, "min-lr": 1e-4,
          "schedule-patience": 2, "patience": 3, "sampling-rate": 0.5, "valid-every": 3, "normalization": "wu",
          "alpha": 0.5, "coverage-penalty": 0.2}
# what switches that other one off
WITHOUT = {"codes": ["--tokenizer", "words"], "pretokenized": ["--tokenizer", "chars"], "coverage": ["--attention", "none"], "beta1": ["--optimizer", "sgd"],
           "beta2": ["--optimizer", "sgd"], "epsilon": ["--optimizer", "sgd"], "period": ["--schedule", "constant"],
           "min-lr": ["--schedule", "constant"]}


def options_that_would_do_nothing_are_refused(folder):
    seen = []
    for command, begin in [(["train", "translate"], NOWHERE), (["translate"], ["translate", "nowhere"]),
                           (["evaluate"], ["evaluate", "nowhere", "--data", "nowhere.tsv"])]:
        for option in re.split(r"\n  --", succeeds(*command, "--help").out)[1:]:
            name, *words = option.split()
            if "(only with" not in " ".join(words):
                continue
            seen.append(name)
            value = [] if ASKING[name] is None else [ASKING[name]]
            fails(*begin, *WITHOUT.get(name, []), f"--{name}", *value, code=2, says=f"--{name} does nothing here: it acts only with --")
    expect(set(seen) == set(ASKING), "the help names others:", seen)
    fails(*NOWHERE, "--tokenizer", "bpe", "--codes", "codes", "--merges", 8000, code=2, says="without --codes")
    for neutral in [["--patience", 0], ["--sampling-rate", 0], ["--no-coverage", "--attention", "none"], ["--momentum", 0]]:
        fails(*NOWHERE, *neutral, says="nowhere.tsv: cannot be opened")  # they ask for nothing


def contradictions_are_found_before_data_is_read(folder):
    valid = ["--valid", "nowhere.tsv"]
    for more, says in [(["--schedule", "plateau"], "--schedule plateau goes by the validation loss: it takes --valid FILE"),
                       (["--tie", "target", "--readout", 100], "--readout takes 0 or 128, which is --embed, not 100"),
                       (["--tie", "all", "--readout", -1], "--readout takes 0 or 128"),
                       (["--preset", "base", "--readout", 100], "--readout takes 0 or 256"),
                       (["--attention", "dot", "--readout", -1], "--readout -1 does not go with --attention dot"),
                       (["--attention", "dot", "--hidden", 7], "--hidden, which must be even, not 7"),
                       (["--min-lr", 0.1], "--min-lr 0.1 is above the learning rate, 0.003"),
                       ([*valid, "--schedule", "plateau", "--lr", 0.1, "--min-lr", 0.2], "is above the learning rate, 0.1"),
                       (["--epochs", 0], "--epochs 0 sets no limit, and neither does --steps 0")]:
        fails(*NOWHERE, *more, code=2, says=says)
    for more in [["--attention", "dot", "--hidden", 7, "--no-bidirectional"], ["--epochs", 0, "--steps", 5],
                 ["--tie", "target", "--embed", 100, "--readout", 100], [*valid, "--schedule", "plateau"], ["--threads", 3000]]:
        fails(*NOWHERE, *more, says="nowhere.tsv: cannot be opened")
    data = tiny_pairs(folder / "train.tsv")
    fails("train", "translate", "--train", data, "--valid", folder / "typo.tsv", "--out", folder / "run", says="typo.tsv: cannot")
    expect(list(contents(folder)) == [data.relative_to(folder)], "something was written")


def numbers_that_would_become_another_are_refused(folder):
    for option, text, says in [("lr", "1e-50", "too small"), ("lr", "1e-400", "too small"), ("clip", "1e-40", "too small"),
                               ("lr", "1e", "not '1e'"), ("lr", "inf", "not 'inf'"), ("lr", "0.1x", "not '0.1x'"),
                               ("lr", " 1", "not ' 1'"), ("lr", "1,5", "not '1,5'"), ("momentum", "1", "from 0 to 0.999999, not '1'"),
                               ("seed", "-1", "from 0 to 9007199254740992, not '-1'"),
                               ("seed", "9007199254740993", "not '9007199254740993'"), ("seed", "0x10", "not '0x10'"),
                               ("seed", "1e3", "not '1e3'"), ("hidden", "4294967424", "not '4294967424'"),
                               ("steps", "9223372036854775808", "not '9223372036854775808'")]:
        fails(*NOWHERE, f"--{option}={text}", code=2, says=says)
    for size in ["1e2,3,4,5", " 3,2,5,7", "+3,2,5,7", "3,2,5,99999999999", "3,2,5,7,", ""]:
        fails("bench", "--size", size, code=2, says="it takes T,B,I,H")


# ---- told ----

def what_helps_little_is_told(folder):
    data = tiny_pairs(folder / "train.tsv")
    (folder / "link.tsv").symlink_to(data)
    begin = ["train", "translate", "--train", data, *TINY, "--tokenizer", "words"]
    said = succeeds(*begin, "--valid", folder / "link.tsv", "--out", folder / "same", "--steps", 1).err
    expect("--valid and --train are the same file" in said, said)
    fails(*begin, "--out", folder / "none", "--min-frequency", 1000,
          says="no source token stands there 1000 times, so that --min-frequency 1000 leaves none")
    fails(*begin, "--out", folder / "none", "--min-frequency", 1000, "--joint-vocabulary", says="no source or target token")


def what_the_run_is_too_short_for_is_told(folder):
    data = tiny_pairs(folder / "train.tsv", 12)
    begin = ["train", "translate", "--train", data, "--valid", data, *TINY, "--tokenizer", "words", "--epochs", 2, "--force",
             "--out", folder / "run"]
    for options, told in [(["--warmup", 6], "--warmup 6 is as long as the run, of 6 steps, or longer"), (["--warmup", 5], ""),
                          (["--patience", 2], "--patience 2 never acts: the run has 2 validations"), (["--patience", 1], ""),
                          (["--schedule", "plateau", "--schedule-patience", 2], "--schedule-patience 2 never acts"),
                          (["--schedule", "plateau", "--schedule-patience", 1], "--schedule-patience 1 never acts"),
                          (["--schedule", "plateau", "--schedule-patience", -1], ""),
                          (["--patience", 2, "--valid-every", 1], "")]:
        said = succeeds(*begin, *options).err
        expect(told in said and ("never acts" in said or "as long as" in said) == bool(told), told, said)


def a_directory_that_is_taken_is_told_before_data_is_read(folder):
    run = trained(folder, epochs=1)
    before = contents(run)
    data = write(folder / "bad.tsv", "no tab\n")
    fails("train", "translate", "--train", data, "--out", run, says="run has a run already (last.h5 is there): 'tidegate resume")
    fails("train", "translate", "--train", data, "--out", data, says="bad.tsv: is there, and is not a directory")
    fails("train", "translate", "--train", data, "--out", run, "--force", says="bad.tsv: line 1")
    expect(contents(run) == before, "the run was changed")


def sentences_name_no_function_of_the_library(folder):
    run = trained(folder, epochs=1)
    write(run / "metrics.csv", "step,x\n")
    said = fails("resume", run, "--set", "epochs=3").err.splitlines()[-1]
    expect(said.startswith(f"tidegate: {run}/metrics.csv") and "tg_" not in said, said)
    said = fails("train", "translate", "--train", folder / "train.tsv", "--out", folder / "no" / "run", *TINY).err.splitlines()[-1]
    expect("cannot be made" in said and "tg_" not in said, said)


def a_preset_tells_what_it_sets(folder):
    data = tiny_pairs(folder / "train.tsv")
    said = succeeds("train", "translate", "--train", data, "--out", folder / "run", "--preset", "small", "--hidden", 8,
                    "--embed", 8, "--steps", 1).err
    expect("Preset small: embed 8 (given), hidden 8 (given), layers 1, tie target, dropout 0.5," in said, said)


def the_way_on_is_told(folder):
    data = tiny_pairs(folder / "train.tsv")
    hard = write(folder / "hard.tsv", "2 2\tseven seven\n")
    begin = ["train", "translate", "--train", data, *TINY, "--tokenizer", "words", "--out"]
    for name, more, way in [("epochs", ["--epochs", 1], "epochs=2 --set lr=0.0015"), ("constant", ["--epochs", 1, "--schedule", "constant"], "epochs=2"),
                            ("steps", ["--steps", 3], "steps=6 --set lr=0.0015"),
                            ("patience", ["--valid", hard, "--valid-every", 1, "--patience", 1, "--lr", 1, "--epochs", 90], "patience=2")]:
        run = folder / name
        said = succeeds(*begin, run, *more).err
        expect(f"'tidegate resume {run} --set {way}'" in said, said)
        first = way.split(" ", 1)[0]
        expect(f"{first.replace('=', ': ')}, was" in succeeds("resume", run, "--set", *way.split()).err, way)


def one_is_not_many(folder):
    data = write(folder / "train.tsv", "a b\tc d\n")
    said = succeeds("train", "translate", "--train", data, *TINY, "--codes", write(folder / "codes", "x y\n"), "--steps", 1, "--out",
                    folder / "run", "--threads", 1).err
    expect("by 1 merge." in said and ": 1 pair\n" in said and "1 batch an epoch, 1 thread\n" in said, said)
    expect(not re.search(r"\b1 (pair|batch|thread|merge|source|line)(e?s)\b", said), said)


# ---- settings of the optimizer and the schedule ----

# options, what inspect shows of them: each a run that must differ from one without them
SETTINGS = [(["--optimizer", "nesterov"], ["--momentum", 0.8, "--weight-decay", 0.001], {"optimizer/momentum": 0.8, "optimizer/weight_decay": 0.001}),
            (["--optimizer", "momentum"], ["--dampening", 0.25], {"optimizer/momentum": 0.9, "optimizer/dampening": 0.25}),
            (["--optimizer", "adamw"], ["--beta1", 0, "--beta2", 0.99, "--epsilon", 1e-6], {"optimizer/beta1": 0, "optimizer/beta2": 0.99, "optimizer/epsilon": 1e-6}),
            (["--optimizer", "rmsprop"], ["--rmsprop-alpha", 0.8, "--momentum", 0.5], {"optimizer/alpha": 0.8, "optimizer/momentum": 0.5}),
            (["--schedule", "step"], ["--gamma", 0.5, "--period", 2], {"training/schedule/gamma": 0.5, "training/schedule/period": 2}),
            (["--schedule", "plateau", "--lr", 1], ["--gamma", 0.5, "--min-lr", 0.1, "--schedule-patience", 1],
             {"training/schedule/gamma": 0.5, "training/schedule/min": 0.1, "training/schedule/patience": 1})]


def shown(run):
    """inspect's values, by group/name."""
    group, values = "", {}
    for line in succeeds("inspect", run / "last.h5").out.splitlines():
        if line[:1].isalpha():
            group = line
        elif len(line.split()) == 2:
            name, value = line.split()
            values[f"{group}/{name}"] = value
    return values


def settings_of_optimizer_and_schedule_act_and_are_kept(folder):
    data = tiny_pairs(folder / "train.tsv", 12)
    for number, (kind, options, expected) in enumerate(SETTINGS):
        begin = ["train", "translate", "--train", data, *TINY, "--tokenizer", "words", "--quiet", "--schedule", "constant",
                 "--checkpoint-every", 100, "--threads", 1, *kind]
        if "plateau" in kind:
            begin += ["--valid", data, "--valid-every", 1]
        run, straight, plain = [folder / f"{name}{number}" for name in ("run", "straight", "plain")]
        succeeds(*begin, *options, "--out", straight, "--steps", 8)
        succeeds(*begin, *options, "--out", run, "--steps", 4)
        succeeds(*begin, "--out", plain, "--steps", 8)
        values = shown(run)
        for name, value in expected.items():
            expect(float(values[name]) == value, f"{name} is not {value}", options, values)
        succeeds("resume", run, "--set", "steps=8", "--quiet")
        different = differing(run / "last.h5", straight / "last.h5")
        expect("parameters/" not in different, "resumed with others:", options, different)
        expect("parameters/" in differing(plain / "last.h5", straight / "last.h5"), "they change nothing", options)


def set_changes_settings_that_act(folder):
    run = trained(folder)
    before = contents(run)
    for change, says in [("patience=x", "not 'x'"), ("momentum=0.5", "--momentum does nothing here"), ("batch=3", "batch was settled"),
                         ("epochs=0", "--epochs 0 sets no limit"), ("min-lr=1", "--min-lr 1 is above the learning rate"),
                         ("sampling-rate=0.5", "--sampling-rate does nothing here")]:
        fails("resume", run, "--set", change, code=2, says=says)
    fails("resume", folder / "nowhere", "--set", "size=3", code=2, says="no option 'size'")  # before anything is read
    expect(contents(run) == before, "the run was changed")
    said = succeeds("resume", run, "--set", "schedule=step", "--set", "gamma=0.5", "--set", "period=3", "--set", "beta2=0.99",
                    "--set", "epochs=3").err
    for text in ["schedule: step, was cosine", "gamma: 0.5, was 0", "period: 3, was 0", "beta2: 0.99, was 0.999"]:
        expect(text in said, said)
    values = shown(run)
    expect(values["optimizer/beta2"] == "0.99" and values["training/schedule/period"] == "3", values)
    rms = trained(folder, "--optimizer", "rmsprop", name="rms")
    fails("resume", rms, "--set", "momentum=0.5", code=2, says="rmsprop began without momentum, and cannot go on with it")


def kept_options_are_checked_like_typed_ones(folder):
    run = trained(folder, epochs=1)
    write(folder / "good.h5", (run / "last.h5").read_bytes())
    for name, says in [("cell", f"options/cell cannot be read: --cell is one of {'|'.join(CELLS)}, not 'none'"),
                       ("hidden", "options/hidden cannot be read: it is of another type")]:
        harness.edited(folder / "good.h5", run / "last.h5", **{f"options/{name}": "none"})
        fails("resume", run, "--set", "epochs=2", says=says)


def numbers_are_shown_as_they_were_typed(folder):
    run = trained(folder, "--lr", 0.003, "--schedule", "constant", "--dropout", 0.1, "--beta1", 0.7, "--clip", 0.123456789)
    expect({line.split(",")[4] for line in (run / "metrics.csv").read_text().splitlines()[1:]} == {"0.003"}, "metrics.csv")
    values = shown(run)
    expect(values["optimizer/lr"] == values["training/schedule/lr"] == "0.003" and values["optimizer/beta1"] == "0.7", values)
    expect(values["options/clip"] == "0.123456789", values)
    text = succeeds("inspect", run).out
    expect(not re.search(r"\d\.\d*(0000|9999)\d* *$", text, re.M), text)


if __name__ == "__main__":
    os.environ.pop("TIDEGATE_CHECK_FINITE", None)
    harness.main([test for name, test in list(globals().items())
                  if callable(test) and getattr(test, "__module__", "") == "__main__"
                  and test.__name__ not in ("shown",)])
