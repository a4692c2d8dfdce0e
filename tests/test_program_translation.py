#!/usr/bin/env python3
"""Attention, beam search and what shows them, from the command line."""
import os
import subprocess
import sys
import xml.etree.ElementTree

import test_program_harness as harness
from test_program_harness import TINY, Run, differing, expect, fails, succeeds, tiny_pairs, trained, write


def best_of(run, *more, lines=("1 4", "7")):
    return succeeds("translate", run, *more, stdin="".join(line + "\n" for line in lines).encode()).out.splitlines()


def nbest_comes_best_first_with_scores(folder):
    run = trained(folder, "--lr", 0.02, epochs=20)
    rows = [line.split("\t") for line in best_of(run, "--beam", 6, "--nbest", 4)]
    for number in "12":
        scores = [float(score) for line, score, _ in rows if line == number]
        expect(len(scores) == 4 and scores == sorted(scores, reverse=True), rows)
        expect(len({text for line, _, text in rows if line == number}) == 4, "the same twice", rows)
    first = [text for (line, _, text), before in zip(rows, [[None]] + rows) if line != before[0]]
    expect(first == best_of(run, "--beam", 6), "the first of many is not the one of one", rows)


def nbest_has_three_columns_whatever_the_source_holds(folder):
    rare = ["".join(chr(256 + 3 * i + k) for k in range(3)) for i in range(20)]  # unknown, and taken from the source
    data = write(folder / "letters.tsv", "".join(f"{text}e\t{text}e\n" for text in rare))
    rows = []
    for seed in [3, 4]:
        succeeds("train", "translate", "--train", data, "--out", folder / "run", "--force", *TINY, "--tokenizer", "chars",
                 "--min-frequency", 5, "--epochs", 10, "--seed", seed, "--quiet")
        rows += succeeds("translate", folder / "run", "--beam", 4, "--nbest", 4, "--max-length", 4,
                         stdin=b"x\t\t\t\t\ty\n").out.splitlines()
    expect(len(rows) == 8 and all(row.count("\t") == 2 for row in rows) and any(" " in row for row in rows), rows)


def parameters(run):
    """All weights of a run, as h5dump shows them."""
    return subprocess.run(["h5dump", "-g", "/parameters", str(run / "last.h5")], capture_output=True, text=True,
                          timeout=60, check=True).stdout.split("\n", 1)[1]


def beam_of_one_is_greedy(folder):
    run = trained(folder, "--lr", 0.02, epochs=10)
    expect(best_of(run) == best_of(run, "--beam", 1), "the default is not a beam of one")


def wrong_decoding_options_are_refused(folder):
    run = trained(folder)
    fails("translate", run, "--nbest", 3, "--beam", 2, code=2, says="--nbest is 3: it can be at most the beam, which is 2")
    fails("translate", run, "--attention", folder / "a.png", code=2, says=".svg, .txt or .h5")
    fails("translate", run, "--beam", 0, code=2, says="--beam takes a whole number from 1 to 10000")
    plain = trained(folder, "--attention", "none", name="plain")
    fails("translate", plain, "--attention", folder / "a.svg", stdin=b"1\n", says="a model without attention")
    fails("translate", plain, "--coverage-penalty", 1, "--beam", 2, stdin=b"1\n",
          says="plain: a model without attention: --coverage-penalty")
    fails("evaluate", plain, "--data", folder / "train.tsv", "--coverage-penalty", 1, "--beam", 2, says="without attention")
    expect(not (folder / "a.svg").exists(), "a file was left behind")


def attention_goes_to_a_file_of_each_ending(folder):
    run = trained(folder, "--lr", 0.02, epochs=10)
    plain = best_of(run)
    for ending in ["svg", "txt", "h5"]:
        expect(best_of(run, "--attention", folder / f"a.{ending}") == plain, "the translation is another one")
    picture = xml.etree.ElementTree.parse(folder / "a.svg").getroot()
    texts = "".join(picture.itertext())
    for token in ["4", "</s>", *plain[0].split()]:
        expect(token in texts, f"{token} is not in the picture")
    expect("one" in (folder / "a.txt").read_text(), (folder / "a.txt").read_text())
    dump = subprocess.run(["h5dump", "-n", str(folder / "a.h5")], capture_output=True, text=True, timeout=60).stdout
    expect("/attention/00002/weights" in dump, dump)


def what_is_told_of_a_sentence_has_its_line(folder):
    run = trained(folder)
    lines = ["1", "", "2 3", " ", "4"]
    out = best_of(run, "--attention", folder / "a.txt", "--beam", 2, "--nbest", 2, lines=lines)
    expect(sorted({line.split("\t")[0] for line in out}) == ["1", "2", "3", "4", "5"], out)
    heads = [line for line in (folder / "a.txt").read_text().splitlines() if line.startswith("sentence")]
    expect(heads == ["sentence 1", "sentence 3", "sentence 5"], heads)
    best_of(run, "--attention", folder / "a.h5", lines=lines)
    dump = subprocess.run(["h5dump", "-n", str(folder / "a.h5")], capture_output=True, text=True, timeout=60).stdout
    expect("/attention/00005/weights" in dump and "/attention/00002" not in dump, dump)
    said = succeeds("translate", run, "--attention", folder / "a.svg", stdin=b"\n\n1\n").err
    expect(said == f"The attention of 1 sentence is in {folder}/a.svg.\n", said)
    picture = xml.etree.ElementTree.parse(folder / "a.svg").getroot()
    expect("3" in [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")], "not called line 3")


def attention_takes_the_place_of_no_input(folder):
    run = trained(folder)
    text = write(folder / "lines.txt", "1 4\n")
    fails("translate", run, text, "--attention", text, says="this is the file that is to be translated")
    expect(text.read_text() == "1 4\n", "the input was lost")


def unknown_words_are_taken_from_where_the_model_looked(folder):
    words, lines = "zero one two three four five six seven eight nine".split(), []
    for i in range(400):  # digits, and a name that comes once, at each place: to be read out
        source = list(str(i * 37 % 900 + 100))
        target = [words[int(digit)] for digit in source]
        source.insert(i % 4, f"name{i}")
        target.insert(i % 4, f"name{i}")
        lines.append(f"{' '.join(source)}\t{' '.join(target)}\n")
    data = write(folder / "names.tsv", "".join(lines))
    run = folder / "run"
    succeeds("train", "translate", "--train", data, "--out", run, "--embed", 24, "--hidden", 32, "--batch", 8, "--epochs",
             25, "--lr", 0.01, "--dropout", 0, "--tokenizer", "words", "--min-frequency", 2, "--quiet")
    asked = ["4 zoe 2 7", "5 1 8 max"]
    expect(best_of(run, lines=asked) == ["four zoe two seven", "five one eight max"], best_of(run, lines=asked))
    expect(best_of(run, "--keep-unknown", lines=asked)[0] == "four <unk> two seven", "--keep-unknown")


def presets_are_defaults_that_options_override(folder):
    data = tiny_pairs(folder / "train.tsv")
    for preset, dropout in [("small", "0.5"), ("base", "0.4"), ("large", "0.2")]:
        run = folder / preset
        succeeds("train", "translate", "--hidden", 7, "--train", data, "--out", run, "--preset", preset, "--embed", 6,
                 "--steps", 1, "--quiet")
        shown = succeeds("inspect", run).out
        for name, value in [("embed", "6"), ("hidden", "7"), ("dropout", dropout), ("tying", "target")]:
            expect(any(line.split()[-2:] == [name, value] or f"{name}" in line and value in line.split()
                       for line in shown.splitlines()), f"{name} {value} is not in", shown)


def flags_can_be_taken_back(folder):
    run = trained(folder, "--no-bidirectional")
    expect(any("bidirectional" in line and line.split()[-1] == "0" for line in succeeds("inspect", run).out.splitlines()),
           succeeds("inspect", run))
    fails("train", "translate", "--no-hidden", code=2, says="there is no option '--no-hidden'")


def every_kind_of_model_trains_and_translates(folder):
    for number, options in enumerate([
            ["--attention", "dot"], ["--attention", "general", "--input-feeding", "--coverage"],
            ["--attention", "dot", "--cell", "gru-reset-after", "--layers", 2],
            ["--coverage", "--layers", 2, "--tie", "target"], ["--tie", "all"], ["--readout", -1],
            ["--attention", "none", "--tie", "target"], ["--attention", "none", "--layers", 2]]):
        run = trained(folder, *options, name=f"run{number}")
        expect(len(best_of(run, "--beam", 3)) == 2, options)
        succeeds("evaluate", run, "--data", folder / "train.tsv")
    fails("train", "translate", "--train", folder / "train.tsv", "--out", folder / "no", "--input-feeding", "--quiet",
          code=2, says="--input-feeding does nothing here: it acts only with --attention dot|general")


def scheduled_sampling_goes_on_to_the_same_bits(folder):
    data = tiny_pairs(folder / "train.tsv")
    common = ["train", "translate", "--train", data, *TINY, "--tokenizer", "words", "--quiet", "--attention", "general",
              "--input-feeding", "--sampling", "linear", "--sampling-rate", 0.5, "--epochs", 6]
    succeeds(*common, "--out", folder / "straight")
    child = subprocess.Popen([harness.PROGRAM, *map(str, common), "--out", str(folder / "run")], stderr=subprocess.DEVNULL)
    harness.wait_until(lambda: (folder / "run" / "last.h5").exists() or child.poll() is not None)
    child.kill()
    child.wait()
    succeeds("resume", folder / "run")
    different = differing(folder / "run" / "last.h5", folder / "straight" / "last.h5")
    expect(not different, different)
    never = [*common, "--sampling-rate", 0, "--out", folder / "never"]
    succeeds(*never)
    expect(parameters(folder / "never") != parameters(folder / "straight"), "sampling changes nothing")


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    harness.main([nbest_comes_best_first_with_scores, nbest_has_three_columns_whatever_the_source_holds, beam_of_one_is_greedy, wrong_decoding_options_are_refused,
                  attention_goes_to_a_file_of_each_ending, what_is_told_of_a_sentence_has_its_line, attention_takes_the_place_of_no_input,
                  unknown_words_are_taken_from_where_the_model_looked, presets_are_defaults_that_options_override,
                  flags_can_be_taken_back, every_kind_of_model_trains_and_translates,
                  scheduled_sampling_goes_on_to_the_same_bits])
