#!/usr/bin/env python3
"""tidegate score, run as its users do; and the same figures in what evaluate prints."""
import json
import os
import subprocess
import threading

import test_program_harness as harness
from test_program_harness import ROOT, expect, fails, succeeds, trained, write

# of sacreBLEU's own tests
HYPOTHESES = "The dog bit the man.\nIt wasn't surprising.\nThe man had just bitten him.\n"
FIRST = "The dog bit the man.\nIt was not unexpected.\nThe man bit him first.\n"
SECOND = "The dog had bit the man.\nNo one was surprised.\nThe man had bitten the dog.\n"
VERSION = next(line for line in (ROOT / "meson.build").read_text().splitlines() if "version:" in line).split("'")[1]
BLEU = f"BLEU|nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:tidegate-{VERSION}"
CHRF = f"chrF2|nrefs:2|case:mixed|eff:yes|nc:6|nw:0|space:no|version:tidegate-{VERSION}"


def files(folder):
    """Hypotheses, and the options for both references."""
    return write(folder / "hyp.txt", HYPOTHESES), [f"--reference={write(folder / 'first.txt', FIRST)}",
                                                   f"--reference={write(folder / 'second.txt', SECOND)}"]


def score_prints_the_two_usual_lines(folder):
    hypotheses, references = files(folder)
    run = succeeds("score", hypotheses, *references)
    expect(run.out == f"{BLEU} = 48.53 82.4/50.0/45.5/37.5 (BP = 0.943 ratio = 0.944 hyp_len = 17 ref_len = 18)\n"
                      f"{CHRF} = 59.73\n" and not run.err, run)
    for more in [[], ["-"]]:
        expect(succeeds("score", *references, *more, stdin=HYPOTHESES.encode()).out == run.out, "not the same from stdin")


def score_prints_one_json_object(folder):
    hypotheses, references = files(folder)
    run = succeeds("score", *references, "--json", hypotheses)
    values = json.loads(run.out)
    expect(run.out.count("\n") == 1, run)
    expect(abs(values.pop("bleu") - 48.530827) < 1e-6 and abs(values.pop("chrf") - 59.7275178) < 1e-6, run)
    expect([round(p, 4) for p in values.pop("precisions")] == [82.3529, 50, 45.4545, 37.5], run)
    expect(abs(values.pop("brevity_penalty") - 0.9428731) < 1e-7 and abs(values.pop("ratio") - 17 / 18) < 1e-8, run)
    expect(values == {"bleu_signature": BLEU[5:], "chrf_signature": CHRF[6:], "matches": [14, 7, 5, 3],
                      "totals": [17, 14, 11, 8], "hypothesis_length": 17, "reference_length": 18, "sentences": 3}, run)


def options_change_the_score(folder):
    hypotheses, references = files(folder)
    run = succeeds("score", hypotheses, *references, "--tokenize", "none")
    expect("|tok:none|" in run.out and " = 49.19 " in run.out and " = 59.73\n" in run.out, run)
    shouted = write(folder / "shouted.txt", HYPOTHESES.upper())
    expect(" = 48.53 " not in succeeds("score", shouted, *references).out, "capital letters do not matter")
    low = [succeeds("score", path, *references, "--lowercase", "--json") for path in [shouted, hypotheses]]
    expect(low[0].out == low[1].out and "|case:lc|" in low[0].out, *low)
    one = succeeds("score", hypotheses, references[1])
    expect("nrefs:1|" in one.out and " = 48.53 " not in one.out, one)


def ends_of_lines_and_marks_do_not_matter(folder):
    hypotheses, references = files(folder)
    wanted = succeeds("score", hypotheses, *references).out
    for changed in [lambda text: text.replace("\n", "\r\n"), lambda text: text.rstrip("\n"), lambda text: "\ufeff" + text,
                    lambda text: "".join(f"\ufeff{line}\r\r\n" for line in text.splitlines())]:
        for path, text in [(hypotheses, HYPOTHESES), (folder / "first.txt", FIRST)]:
            write(path, changed(text))
            expect(succeeds("score", hypotheses, *references).out == wanted, repr(changed(text)))
            write(path, text)


def empty_lines_are_translations(folder):
    hypotheses = write(folder / "hyp.txt", "\nall of it is right\n\n")
    reference = write(folder / "ref.txt", "something\nall of it is right\n\n")
    values = json.loads(succeeds("score", hypotheses, "--reference", reference, "--json").out)
    expect(values["sentences"] == 3 and values["hypothesis_length"] == 5 and values["reference_length"] == 6, values)
    nothing = write(folder / "nothing.txt", "\n\n\n")
    values = json.loads(succeeds("score", nothing, "--reference", reference, "--json").out)
    expect(values["bleu"] == values["chrf"] == values["brevity_penalty"] == 0, values)


def score_refuses_what_it_cannot_compare(folder):
    hypotheses, references = files(folder)
    short = write(folder / "short.txt", "one\ntwo\n")
    long = write(folder / "long.txt", HYPOTHESES + "four\nfive")
    for arguments, says in [
            ([short, *references], f"{short} has 2 lines, but {folder}/first.txt has 3"),
            ([long, *references], f"{long} has 5 lines, but {folder}/first.txt has 3"),
            ([hypotheses, *references, "--reference", long], f"{hypotheses} has 3 lines, but {long} has 5"),
            ([folder / "absent.txt", *references], "absent.txt: No such file"),
            ([hypotheses, "--reference", folder / "absent.txt"], "absent.txt: No such file"),
            ([hypotheses, "--reference", "-"], "-: No such file"),
            ([folder, *references], "Is a directory"),
            ([hypotheses, "--reference", folder], "Is a directory")]:
        expect(not fails("score", *arguments, says=says).out, "something was printed")
    fails("score", *references, stdin=b"one\ntwo\n", says="standard input has 2 lines, but ")
    fails("score", *references, stdin=b"", says="standard input: is empty")
    bad = folder / "bad.txt"
    for text, says in [(b"", "bad.txt: is empty"), (b"one\nt\xffo\nthree\n", "bad.txt: line 2: byte 2 is not UTF-8 (0xFF)"),
                       (b"one\ntwo\nthr\0e\n", "bad.txt: line 3: byte 4 is a NUL"),
                       (b"one\ntwo\rthree\r\n", "bad.txt: line 2: byte 4 is a carriage return (CR): lines end in LF or CR LF"),
                       (b"one\xe2\x82", "bad.txt: line 1: byte 4 is not UTF-8 (0xE2)"),
                       (b"one\n" + b"a" * 1000001, "bad.txt: line 2: longer than 1000000 bytes")]:
        write(bad, text)
        fails("score", bad, *references, says=says)
        fails("score", hypotheses, *references, "--reference", bad, says=says)


def wrong_usage_of_score_says_so(folder):
    hypotheses, references = files(folder)
    for arguments, says in [([hypotheses], "--reference FILE is missing"),
                            ([hypotheses, hypotheses, *references], "one argument too many"),
                            ([hypotheses, *references, "--tokenize", "intl"], "--tokenize is one of 13a|none, not 'intl'"),
                            ([hypotheses, *references * 17], "--reference is given more than 32 times"),
                            ([hypotheses, *references, "--beta", 3], "there is no option '--beta'")]:
        fails("score", *arguments, code=2, says=says)
    expect(succeeds("score", hypotheses, *references * 16).out.startswith("BLEU|nrefs:32|"), "32 references")


def output_of_score_that_cannot_be_written_is_an_error(folder):
    hypotheses, references = files(folder)
    for more in [[], ["--json"]]:
        with open("/dev/full", "wb") as full:
            done = subprocess.run([harness.PROGRAM, "score", str(hypotheses), *references, *more], stdout=full,
                                  stderr=subprocess.PIPE)
        expect(done.returncode == 1 and b"standard output: No space left" in done.stderr, done)


def score_reads_pipes(folder):
    hypotheses, references = files(folder)
    os.mkfifo(folder / "pipe")
    writer = threading.Thread(target=write, args=[folder / "pipe", FIRST])
    writer.start()
    run = succeeds("score", hypotheses, "--reference", folder / "pipe", references[1])
    writer.join()
    expect(run.out == succeeds("score", hypotheses, *references).out, run)


def evaluate_and_score_agree(folder):
    run = trained(folder, "--lr", 0.02, epochs=30)
    pairs = [line.split("\t") for line in (folder / "train.tsv").read_text().splitlines()]
    reference = write(folder / "targets.txt", "".join(f"{target}\n" for _, target in pairs))
    translations = succeeds("translate", run, stdin="".join(f"{source}\n" for source, _ in pairs).encode()).out
    for tokenize in ["13a", "none"]:
        values = json.loads(succeeds("evaluate", run, "--data", folder / "train.tsv", "--tokenize", tokenize).out)
        wanted = json.loads(succeeds("score", "--reference", reference, "--tokenize", tokenize, "--json",
                                     stdin=translations.encode()).out)
        for name in ["bleu", "bleu_signature", "chrf", "chrf_signature"]:
            expect(values[name] == wanted[name], f"{name} with {tokenize}:", values, wanted)
        expect(f"|tok:{tokenize}|" in values["bleu_signature"] and 0 < values["chrf"] <= 100, values)
    fails("evaluate", run, "--data", folder / "train.tsv", "--tokenize", "words", code=2, says="--tokenize is one of")


def evaluate_compares_texts_in_one_normal_form(folder):
    cafe, deja, vu = "cafe\u0301", "de\u0301ja\u0300", "e\u0301te\u0301 fore\u0302t"
    data = write(folder / "decomposed.tsv", f"a b c d e\t{cafe} {deja} {vu}\nb c d e f\t{deja} {vu} {cafe}\n")
    succeeds("train", "translate", "--train", data, "--out", folder / "run", "--embed", 16, "--hidden", 16, "--epochs", 80,
             "--checkpoint-every", 1000, "--lr", 0.02, "--dropout", 0, "--tokenizer", "words", "--quiet")
    values = json.loads(succeeds("evaluate", folder / "run", "--data", data).out)
    expect(values["exact_match"] == 1 and values["bleu"] == 100 and values["chrf"] == 100, values)


def lower_case_of_evaluate_and_score_is_one(folder):
    data = write(folder / "greek.tsv", "a b\tΛΟΓΟΣ ΑΥΤΟΣ ΣΣ Σ.\nc d\tλογος αυτος σς σ.\n" * 2)
    succeeds("train", "translate", "--train", data, "--out", folder / "run", *harness.TINY, "--epochs", 100, "--lr", 0.02,
             "--checkpoint-every", 1000, "--dropout", 0, "--tokenizer", "words", "--lowercase", "--quiet")
    said = succeeds("translate", folder / "run", stdin=b"a b\n").out
    expect(said == "λογος αυτος σς σ.\n", said)
    reference = write(folder / "reference", "ΛΟΓΟΣ ΑΥΤΟΣ ΣΣ Σ.\n")
    scored = json.loads(succeeds("score", "--reference", reference, "--lowercase", "--json", stdin=said.encode()).out)
    values = json.loads(succeeds("evaluate", folder / "run", "--data", data).out)
    expect(scored["bleu"] == values["bleu"] == 100 and values["exact_match"] == 1, scored, values)


if __name__ == "__main__":
    harness.main([score_prints_the_two_usual_lines, score_prints_one_json_object, options_change_the_score,
                  ends_of_lines_and_marks_do_not_matter, empty_lines_are_translations,
                  score_refuses_what_it_cannot_compare, wrong_usage_of_score_says_so,
                  output_of_score_that_cannot_be_written_is_an_error, score_reads_pipes, evaluate_and_score_agree,
                  evaluate_compares_texts_in_one_normal_form, lower_case_of_evaluate_and_score_is_one])
