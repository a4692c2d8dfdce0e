#!/usr/bin/env python3
"""The program's commands: what they print, where, with which exit code, and what they leave on disk."""
import json
import os
import resource
import subprocess

import test_program_harness as harness
from test_program_harness import (ROOT, TINY, Run, contents, differing, expect, fails, succeeds, tiny_pairs,
                                  trained, write)

COMMANDS = ["train", "train translate", "resume", "translate", "evaluate", "score", "plot", "inspect", "verify", "seal", "doctor", "bench"]
HEADER = "step,epoch,train_loss,valid_loss,lr,grad_norm,units_per_second,seconds"


# ---- the command line ----

def help_is_there_for_every_command(folder):
    for arguments in ["--help", "-h", "help"]:
        run = succeeds(arguments)
        for command in COMMANDS:
            expect(command.split()[0] in run.out, f"{command} is missing in:", run)
    for command in COMMANDS:
        run = succeeds(*command.split(), "--help")
        expect(run.out.startswith(f"usage: tidegate {command}") and not run.err, run)


def help_names_every_option_and_default(folder):
    run = succeeds("train", "translate", "--help")
    for option in """train valid out tokenizer pretokenized lowercase merges codes joint-vocabulary min-frequency max-length embed hidden layers cell dropout epochs steps
            batch optimizer lr schedule warmup clip weight-decay label-smoothing patience seed threads log-every
            valid-every checkpoint-every quiet force""".split():
        expect(f"\n  --{option}" in run.out, f"--{option} is missing in:", run)
    expect(run.out.count("default") >= 20, run)


def little_address_space_ends_with_a_sentence(folder):
    harness.needs_the_program_alone("little address space")
    data = tiny_pairs(folder / "train.tsv")
    for number, mebibytes in enumerate([120, 200, 300, 2000]):  # OpenBLAS' threads hang; its first product; neither
        def limited():
            resource.setrlimit(resource.RLIMIT_AS, (mebibytes << 20, mebibytes << 20))
        succeeds("--version", preexec_fn=limited, timeout=30)
        run = Run("train", "translate", "--train", data, "--out", folder / str(number), *TINY, "--steps", 2, "--quiet", preexec_fn=limited, timeout=60)
        expect(run.code in ([0] if mebibytes == 2000 else [0, 1]) and len(run.err.splitlines()) == run.code, run)


def version_is_that_of_the_project(folder):
    line = next(line for line in (ROOT / "meson.build").read_text().splitlines() if "version:" in line)
    expect(succeeds("--version").out == f"tidegate {line.split(chr(39))[1]}\n", line)


def wrong_usage_says_so_in_two_lines(folder):
    data = tiny_pairs(folder / "train.tsv")
    train = ["train", "translate", "--train", data, "--out", folder / "run"]
    for arguments, says in [
            (["sing"], "there is no command 'sing'"),
            (["--loud"], "there is no option '--loud'"),
            (["train"], "say what to train"),
            (["train", "poems"], "'poems'"),
            (["train", "translate"], "--train FILE is missing"),
            (["train", "translate", "--train", data], "--out DIR is missing"),
            ([*train, "--loud"], "there is no option '--loud'"),
            ([*train, "-x"], "there is no option '-x'"),
            ([*train, "more"], "one argument too many: 'more'"),
            ([*train, "--epochs"], "--epochs takes a value"),
            ([*train, "--quiet=yes"], "--quiet takes no value"),
            ([*train, "--hidden", "0"], "--hidden takes a whole number from 1 to 65536, not '0'"),
            ([*train, "--hidden", "12x"], "not '12x'"),
            ([*train, "--hidden", "1.5"], "not '1.5'"),
            ([*train, "--hidden", ""], "not ''"),
            ([*train, "--hidden", "99999999999999999999"], "not '99999999999999999999'"),
            ([*train, "--lr", "nan"], "--lr takes a number from 0 to 1000, not 'nan'"),
            ([*train, "--lr", "0x1p-3"], "not '0x1p-3'"),
            ([*train, "--lr", "1e999"], "not '1e999'"),
            ([*train, "--lr=-1"], "not '-1'"),
            ([*train, "--dropout", "1"], "--dropout takes a number from 0 to 0.99, not '1'"),
            ([*train, "--cell", "sru"], f"--cell is one of {'|'.join(harness.CELLS)}, not 'sru'"),
            ([*train, "--out="], "--out takes a DIR"),
            ([*train, "--merges", "0"], "--merges takes a whole number from 1"),
            ([*train, "--codes", "c", "--tokenizer", "words"], "--codes does nothing here: it acts only with --tokenizer auto|bpe"),
            (["resume"], "DIR is missing: usage: tidegate resume DIR"),
            (["resume", "a", "b"], "one argument too many"),
            (["translate"], "MODEL is missing: usage: tidegate translate MODEL"),
            (["evaluate", "model"], "--data FILE is missing"),
            (["verify"], "MODEL is missing: usage: tidegate verify MODEL"),
            (["doctor", "who"], "one argument too many")]:
        run = fails(*arguments, code=2, says=says)
        expect("--help" in run.err and not run.out, run)
    expect(list(contents(folder)) == [data.relative_to(folder)], "something was written")


def sentences_stay_on_one_line(folder):
    run = fails("verify", folder / "a\nb\x1b[31m", says=r"a\x0ab\x1b[31m")
    expect(len(run.err.splitlines()) == 1, run)


# ---- train ----

def train_refuses_what_it_cannot_read(folder):
    for text, says in [(None, "No such file"), ("", "empty.tsv"), ("\n\n", "empty.tsv"), ("a\tb\nno tab\n", ":2"),
                       ("a\tb\n\tc\n", ":2"), (b"a\tb\nc\td\n\xff\tx\n", ":3"), (b"a\0\tb\n", ":1")]:
        data = folder / "empty.tsv"
        data.unlink(missing_ok=True)
        if text is not None:
            write(data, text)
        before = contents(folder)
        run = fails("train", "translate", "--train", data, "--out", folder / "run", *TINY)
        expect(len(run.err.splitlines()) == 1 and (says in run.err or says.replace(":", " line ") in run.err or
                                                   says.replace(":", "line ") in run.err), f"{says}?", run)
        expect(contents(folder) == before and not (folder / "run").exists(), "something was written", run)
    fails("train", "translate", "--train", folder, "--out", folder / "run", *TINY)


def train_makes_the_files_of_a_run(folder):
    run = trained(folder)
    expect({"last.h5", "last.h5.1", "best.h5", "metrics.csv"} <= set(map(str, contents(run))), contents(run).keys())
    rows = (run / "metrics.csv").read_text().splitlines()
    expect(rows[0] == HEADER and len(rows) == 21, *rows)
    expect([row.split(",")[0] for row in rows[1:]] == [str(n) for n in range(1, 21)], *rows)
    expect(all(row.count(",") == 7 for row in rows), *rows)
    expect(rows[20].split(",")[3] and not rows[19].split(",")[3], "a validation at the end of each epoch", *rows)


def train_without_validation_has_no_best(folder):
    data = tiny_pairs(folder / "train.tsv")
    succeeds("train", "translate", "--train", data, "--out", folder / "run", *TINY, "--steps=3")
    expect(not (folder / "run/best.h5").exists() and (folder / "run/last.h5").exists(), contents(folder).keys())
    succeeds("translate", folder / "run", stdin=b"1 2\n")


def train_refuses_a_directory_that_has_a_run(folder):
    run = trained(folder)
    before = contents(folder)
    again = ["train", "translate", "--train", folder / "train.tsv", "--out", run, *TINY, "--steps", 5]
    fails(*again, says="run")
    expect(contents(folder) == before, "the run was changed")
    succeeds(*again, "--force")
    expect(len((run / "metrics.csv").read_text().splitlines()) == 6, "the run was not begun anew")


def quiet_says_nothing_and_talk_goes_to_stderr(folder):
    data = tiny_pairs(folder / "train.tsv")
    train = ["train", "translate", "--train", data, "--valid", data, *TINY, "--steps", 5, "--tokenizer", "words"]
    quiet = succeeds(*train, "--out", folder / "a", "--quiet")
    expect(not quiet.out and not quiet.err, quiet)
    loud = succeeds(*train, "--out", folder / "b")
    expect(not loud.out and "parameters" in loud.err and "\x1b" not in loud.err, loud)


def pairs_left_out_are_told_with_their_line(folder):
    data = write(folder / "train.tsv", "a b\tc\na b c d\te\nf\tg\th\n" + "a b\tc\n" * 20)
    run = succeeds("train", "translate", "--train", data, "--out", folder / "run", *TINY, "--steps", 1,
                   "--max-length", 3, "--tokenizer", "words")
    expect("1 pair longer than 3 tokens is left out (the first in line 2)" in run.err, run)
    expect("1 line has more than two columns: only two are read (the first in line 3)" in run.err, run)


def one_word_is_a_vocabulary(folder):
    data = write(folder / "train.tsv", "ja\tyes\n" * 8)
    succeeds("train", "translate", "--train", data, "--valid", data, "--out", folder / "run", *TINY, "--epochs", 40,
             "--lr", 0.02, "--tokenizer", "words")
    expect(succeeds("translate", folder / "run", stdin=b"ja\n").out == "yes\n", "one pair was not learnt")
    succeeds("translate", folder / "run", stdin=b"never seen before\n")


def auto_takes_characters_where_words_do_not_come_back(folder):
    words = tiny_pairs(folder / "words.tsv", 60)
    unique = write(folder / "unique.tsv", "".join(f"{n} of May\t{n * 7919}-05\n" for n in range(60)))
    for data, tokenizer in [(words, "words"), (unique, "chars")]:
        run = folder / tokenizer
        succeeds("train", "translate", "--train", data, "--out", run, *TINY, "--steps", 1)
        expect(f" {tokenizer}\n" in succeeds("inspect", run).out, tokenizer)


def tokens_of_tokenized_text_are_kept(folder):
    tokenized = write(folder / "tokenized.tsv", "he isn &apos;t&apos;ve .NET , the dogs&apos; .\til dit : pp. 1. y'all .\nwho ?\tqui ?\n" * 4)
    plain = write(folder / "plain.tsv", "He isn't here, sir.\tIl n'est pas là.\nWho?\tQui ?\n" * 4)
    for data, options, kind in [(tokenized, [], "spaces"), (tokenized, ["--tokenizer", "words"], "spaces"),
                                (tokenized, ["--tokenizer", "bpe"], "bpe-spaces"), (plain, [], "words"),
                                (plain, ["--tokenizer", "bpe"], "bpe"),
                                (tokenized, ["--tokenizer", "words", "--pretokenized", "no"], "words"),
                                (tokenized, ["--tokenizer", "bpe", "--pretokenized", "no"], "bpe"),
                                (plain, ["--tokenizer", "bpe", "--pretokenized", "yes"], "bpe-spaces"),
                                (tokenized, ["--tokenizer", "chars"], "chars")]:
        run = succeeds("train", "translate", "--train", data, "--out", folder / "run", "--force", *TINY, "--steps", 1, *options)
        shown = succeeds("inspect", folder / "run").out
        expect(any(line.split()[-2:] == ["source_tokenizer", kind] for line in shown.splitlines()), options, kind, shown)
        expect(("spaces separate its tokens" in run.err) == ("spaces" in kind and data == tokenized), run)
    succeeds("resume", folder / "run", "--set", "steps=2")
    fails("train", "translate", "--train", data, "--out", folder / "run", "--tokenizer", "chars", "--pretokenized", "yes", code=2,
          says="--pretokenized")


PLAIN = ["Yes, sir!\tOui, \u201cl'homme\u201d (5,50\u00a0\u20ac)...", "Don't go.\tN'y va pas.", "cafe\u0301\tCAFE\u0301, s'il plai\u0302t"]


def plain_sentences_come_in_and_out(folder):
    data = write(folder / "train.tsv", "\n".join(PLAIN) + "\n")
    codes = write(folder / "codes", "#version: 0.2\no m\nh om\nS i</w>\n")
    sources, targets = ["".join(line.split("\t")[side] + "\n" for line in PLAIN) for side in (0, 1)]
    composed = targets.replace("E\u0301", "\u00c9").replace("i\u0302", "\u00ee")
    for tokenizer, out in [("words", composed.replace("\u00a0", " ")), ("bpe", composed.replace("\u00a0", " ")),
                           ("spaces", composed), ("chars", composed)]:
        joint = ["--lowercase", "--joint-vocabulary"]
        for more in {"words": [[], joint], "bpe": [[], joint, ["--codes", codes]]}.get(tokenizer, [[]]):
            run = folder / "run"
            succeeds("train", "translate", "--train", data, "--out", run, *TINY, "--embed", 48, "--hidden", 48, "--dropout", 0,
                     "--epochs", 200, "--checkpoint-every", 1000, "--schedule", "constant", "--lr", 0.01, "--force",
                     "--tokenizer", tokenizer, *more)
            codes.rename(folder / "away")  # the checkpoint has all that is needed
            said = succeeds("translate", run, stdin=sources.encode()).out
            (folder / "away").rename(codes)
            lower = "--lowercase" in more
            expect(said == (out.lower() if lower else out), tokenizer, *more, said)
            expect(("  joint " in succeeds("inspect", run).out) == lower, "one vocabulary, or two?")


def codes_that_cannot_be_read_are_told(folder):
    train = ["train", "translate", "--train", tiny_pairs(folder / "train.tsv"), "--out", folder / "run", *TINY, "--codes"]
    fails(*train, folder / "nowhere", says="nowhere: cannot be opened: No such file")
    fails(*train, write(folder / "codes", "#version: 0.2\na b\nab\n"), says="line 3 is not two symbols")
    said = succeeds(*train, write(folder / "codes", "o n\n"), "--steps", 1)
    expect("Tokens are pieces of words, by 1 merge." in said.err, said)


def threads_change_no_bit(folder):
    one, two = trained(folder, "--threads", 1, name="one"), trained(folder, "--threads", 2, name="two")
    different = differing(one / "last.h5", two / "last.h5")
    expect(not different, different)
    other = trained(folder, "--seed", 2, name="other")
    expect(differing(one / "last.h5", other / "last.h5"), "another seed gives the same run")


def full_disk_ends_training_and_harms_nothing(folder):
    run = trained(folder)
    before = contents(run)
    limit = len(before[next(path for path in before if path.name == "last.h5")]) // 2

    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    fails("train", "translate", "--train", folder / "train.tsv", "--out", folder / "new", *TINY, "--epochs", 1,
          preexec_fn=small_files)
    fails("resume", run, "--set", "epochs=4", preexec_fn=small_files)
    after = contents(run)
    expect(all(after[path] == before[path] for path in before if path.suffix != ".csv"), "a checkpoint was changed")
    expect(not [path for path in after if path.name.endswith(".part")], after.keys())
    succeeds("resume", run, "--set", "epochs=4")


# ---- translate ----

def translate_gives_a_line_for_each_line(folder):
    run = trained(folder, epochs=1)
    lines = ["1 2", "", "never seen", "  3   4  ", "7"] * 150
    text = ("\n".join(lines) + "\n").encode()
    out = succeeds("translate", run, stdin=text).out
    expect(out.count("\n") == len(lines) and out.splitlines()[1] == "", out[:300])
    once = out.splitlines()[:5]
    expect(out.splitlines() == once * 150, "the same sentence has two translations")
    for name, other in [("a file", text), ("CR LF", text.replace(b"\n", b"\r\n")), ("no last line end", text[:-1]),
                        ("byte order marks", b"".join(b"\xef\xbb\xbf" + line + b"\n" for line in text.splitlines()))]:
        expect(succeeds("translate", run, write(folder / "in.txt", other)).out == out, name)
    expect(succeeds("translate", run / "best.h5", "-", stdin=text).out == out, "best.h5 is not what DIR means")
    expect(succeeds("translate", run, stdin=b"").out == "", "nothing gives something")


def translate_answers_each_line_as_it_comes(folder):
    run = trained(folder, epochs=1)
    with subprocess.Popen([harness.PROGRAM, "translate", run], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        for line in [b"1 2\n", b"\n", b"3\n"]:
            child.stdin.write(line)
            child.stdin.flush()
            expect(child.stdout.readline().endswith(b"\n"), "no answer")  # hangs, and times out, if there is none
        child.stdin.close()
        expect(child.wait(60) == 0, "not ended well")


def translate_names_the_line_that_it_cannot_read(folder):
    run = trained(folder, epochs=1)
    for bad, says in [(b"1 2\n3\n\xc0\xaf\n4\n", "line 3: byte 1 is not UTF-8"), (b"1\n2\0 3\n", "line 2: byte 2 is a NUL"),
                      (b"1\n2\r3\r", "line 2: byte 2 is a carriage return (CR)"),
                      (b"1\n" + b"2 " * 600000, "line 2: longer than")]:
        result = fails("translate", run, stdin=bad, says=says)
        expect(len(result.out.splitlines()) == int(says.split()[1][0]) - 1, "lines before it are lost", result)
    fails("translate", run, folder / "no-such-file", says="no-such-file: No such file")
    fails("translate", folder / "nowhere", says="No such file")
    fails("translate", folder, says="neither best.h5 nor last.h5")


def a_reader_that_leaves_is_no_news(folder):
    run = trained(folder, epochs=1)
    done = subprocess.run(f"yes '1 2' | '{harness.PROGRAM}' translate '{run}' 2>'{folder}/said' | head -n 1; "
                          "echo ${PIPESTATUS[1]}", shell=True, executable="/bin/bash", capture_output=True, timeout=60)
    expect(done.stdout.splitlines()[1:] == [b"1"] and not (folder / "said").read_bytes(), done,
           (folder / "said").read_bytes())


def output_that_cannot_be_written_is_an_error(folder):
    run = trained(folder, epochs=1)
    for arguments in [["--help"], ["inspect", run], ["evaluate", run, "--data", folder / "train.tsv"],
                      ["translate", run, folder / "train.tsv"], ["verify", run / "last.h5"]]:
        with open("/dev/full", "wb") as full:
            done = subprocess.run([harness.PROGRAM, *map(str, arguments)], stdout=full, stderr=subprocess.PIPE)
        expect(done.returncode == 1 and b"standard output: No space left" in done.stderr, arguments, done)


def closed_streams_harm_nothing(folder):
    data = tiny_pairs(folder / "train.tsv")
    train = f"'{harness.PROGRAM}' train translate --train '{data}' --out '{folder}/run' --steps 3 {' '.join(TINY)}"
    for command, code in [(f"{train} 0<&- 1>&- 2>&-", 0), (f"'{harness.PROGRAM}' verify '{folder}/run/last.h5'", 0),
                          (f"'{harness.PROGRAM}' verify '{folder}/run/last.h5' >&-", 1),
                          (f"'{harness.PROGRAM}' translate '{folder}/run' <&-", 1)]:
        done = subprocess.run(command, shell=True, capture_output=True, timeout=60)
        expect(done.returncode == code, command, done)


def a_small_stack_will_do(folder):
    harness.needs_the_program_alone("small stack")
    run = trained(folder, epochs=1)
    small = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_STACK, (128 << 10, 128 << 10))}
    translations = succeeds("translate", run, stdin=b"1 2\n" * 600, **small).out
    write(folder / "lines", translations)
    for arguments in [["evaluate", run, "--data", folder / "train.tsv"], ["inspect", run], ["verify", run / "last.h5"],
                      ["plot", run], ["score", "--reference", folder / "lines", folder / "lines"],
                      ["resume", run, "--set", "epochs=2"]]:
        succeeds(*arguments, **small)


# ---- evaluate, inspect, verify, seal, doctor ----

def evaluate_prints_one_json_object(folder):
    run = trained(folder, "--lr", 0.02, epochs=60)
    result = succeeds("evaluate", run, "--data", folder / "train.tsv")
    values = json.loads(result.out)
    expect(set(values) == {"loss", "perplexity", "perplexity_free_running", "exact_match", "exact", "pairs", "left_out", "bleu", "bleu_signature",
                           "chrf", "chrf_signature"}, result)
    expect(values["pairs"] == 40 and values["left_out"] == 0 and result.out.count("\n") == 1, result)
    expect(abs(values["perplexity"] - 2.718281828459 ** values["loss"]) < 1e-6 * values["perplexity"], result)
    expect(values["perplexity_free_running"] >= 1, result)
    expect(values["exact_match"] == values["exact"] / 40, result)
    sources = [line.split("\t") for line in (folder / "train.tsv").read_text().splitlines()]
    out = succeeds("translate", run, stdin="\n".join(s for s, _ in sources).encode()).out.splitlines()
    expect(values["exact"] == sum(a == b for a, (_, b) in zip(out, sources)), "not what translate says", result)
    expect(values["exact"] > 4, "nothing was learnt, so that this test tells nothing", result)
    spaced = write(folder / "spaced.tsv", "".join(f"{s}\t{t.replace(' ', '   ')} \n" for s, t in sources))
    expect(json.loads(succeeds("evaluate", run, "--data", spaced).out)["exact"] == values["exact"], "white space")
    joined = write(folder / "joined.tsv", "".join(f"{s}\t{t.replace(' ', '')}\n" for s, t in sources))
    expect(json.loads(succeeds("evaluate", run, "--data", joined).out)["exact"] ==
           sum(a == b and " " not in b for a, (_, b) in zip(out, sources)), "words run together are not the same")
    fails("evaluate", run, "--data", folder / "nothing.tsv", says="nothing.tsv")


def a_directory_means_its_best(folder):
    run, other = trained(folder), trained(folder, "--seed", 2, name="other")
    write(run / "best.h5", (other / "best.h5").read_bytes())
    results = [succeeds("evaluate", model, "--data", folder / "train.tsv").out
               for model in [run, run / "best.h5", run / "last.h5"]]
    expect(results[0] == results[1] != results[2], *results)


def validation_loss_is_that_of_evaluate(folder):
    run = trained(folder)
    last = (run / "metrics.csv").read_text().splitlines()[-1].split(",")
    values = json.loads(succeeds("evaluate", run / "last.h5", "--data", folder / "train.tsv").out)
    expect(abs(float(last[3]) - values["loss"]) < 1e-6 * values["loss"], last, values)


def inspect_shows_what_a_checkpoint_holds(folder):
    out = succeeds("inspect", trained(folder)).out
    for text in ["task", "translate", "parameters\n", "encoder/layer0/forward/W_xz", "8 x 12", "norm", "vocabulary\n",
                 "<pad> <unk> <s> </s>", "options\n", "hidden", "data\n", str(folder / "train.tsv"), "training\n"]:
        expect(text in out, f"{text} is missing in:", out)


def damage_is_told_and_harms_nothing(folder):
    run = trained(folder)
    good = (run / "best.h5").read_bytes()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 0x10
    commands = [["verify"], ["inspect"], ["translate"], ["evaluate", "--data", folder / "train.tsv"]]
    succeeds("verify", run / "best.h5")
    for name, bad in [("truncated", good[:-100]), ("half", good[:len(good) // 2]), ("empty", b""),
                      ("flipped", bytes(flipped)), ("longer", good + b"\0"), ("text", b"a\tb\n" * 2000)]:
        path = write(folder / name, bad)
        for command, *more in commands:
            result = fails(command, path, *more, says=name)
            expect(not result.out and len(result.err.splitlines()) == 1, result)
        expect(path.read_bytes() == bad, f"{name} was changed")
    for command, *more in commands:
        fails(command, folder / "absent", *more, says="absent")


def seal_makes_an_edit_good_and_asks_whether_it_was_one(folder):
    run = trained(folder)
    path, content = run / "last.h5", bytearray((run / "last.h5").read_bytes())
    content[len(content) // 2] ^= 0x01  # in the middle lie the numbers of a parameter
    write(path, bytes(content))
    fails("verify", path)
    refused = fails("seal", path, says="--force")
    expect("cannot be told" in refused.err and f"whole beside it: {run}/last.h5.1, {run}/best.h5" in refused.err, refused)
    expect(path.read_bytes() == bytes(content), "sealed all the same")
    expect("sealed" in succeeds("seal", path, "--force").out, "not sealed")
    expect("ok" in succeeds("verify", path).out, "sealed, but not whole")
    expect("whole already" in succeeds("seal", path).out, "a whole file is sealed again")
    content = bytearray(path.read_bytes())
    content[100] = 1  # in the header: no edit does that
    write(path, bytes(content))
    fails("seal", path, "--force", says="is damaged: there is something where its header has zeros")
    before = write(folder / "text.h5", "no checkpoint\n" * 1000).read_bytes()
    fails("seal", folder / "text.h5", "--force")
    expect((folder / "text.h5").read_bytes() == before, "seal changed a file that it cannot read")


def a_file_that_crashes_hdf5_while_it_is_sealed_crashes_a_child_alone(folder):
    harness.needs_the_program_alone("preloading")
    run = trained(folder, epochs=1)
    path = write(run / "last.h5", (run / "last.h5").read_bytes() + b"0")
    crashing = os.path.join(os.path.dirname(harness.COMPARE), "libcrashing_hdf5.so")
    if not os.path.exists(crashing):
        raise harness.Missing("libcrashing_hdf5.so")
    before = contents(run)
    fails("seal", path, "--force", says="HDF5 crashed while it read the file", env={**os.environ, "LD_PRELOAD": crashing})
    expect(before == contents(run), "something was changed")


def inspect_takes_time_as_the_file_is_long(folder):
    run = trained(folder, epochs=1)
    seconds = []
    for groups in (1500, 6000):
        path = harness.edited(run / "last.h5", folder / f"{groups}.h5", **{f"group{i}/value": "text" for i in range(groups)})
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        expect(succeeds("inspect", path).out.count("\ngroup") == groups, "not all groups are shown")
        seconds.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before)
    expect(seconds[1] < 8 * seconds[0] + 0.1, seconds)


def verify_takes_runs_and_files_and_says_what_beside_a_damaged_one_is_whole(folder):
    run = trained(folder)
    listed = succeeds("verify", run, run / "best.h5").out.splitlines()
    expect([line.split(":")[0] for line in listed] == [f"{run}/{name}" for name in ("last.h5", "last.h5.1", "best.h5", "best.h5")], listed)
    whole = (run / "last.h5").read_bytes()
    write(run / "last.h5", whole[:-1])
    result = fails("verify", run)
    expect(f"whole beside it: {run}/last.h5.1, {run}/best.h5" in result.err and "seal" not in result.err, result)
    expect(len(result.out.splitlines()) == 2, "the others were not looked at", result)
    result = Run("verify", run / "best.h5", run / "last.h5", folder / "none", folder)
    expect(result.code == 1 and len(result.err.splitlines()) == 3 and len(result.out.splitlines()) == 1, result)
    write(run / "last.h5.1", b"")
    write(run / "best.h5", b"")
    fails("verify", run / "last.h5", says="no whole checkpoint of a run lies beside it")


def a_run_of_a_newer_format_is_refused_and_left_as_it_is(folder):
    run = trained(folder)
    content = bytearray((run / "last.h5").read_bytes())
    content[8] = 2  # the version of the header
    write(run / "last.h5", bytes(content))
    before = contents(run)
    for command in (["resume", run], ["verify", run / "last.h5"], ["seal", run / "last.h5", "--force"], ["inspect", run / "last.h5"]):
        fails(*command, says="is of format 2; this library reads format 1")
    expect(before == contents(run), "something was changed")


def bench_times_the_sizes_that_are_asked_for(folder):
    result = succeeds("bench", "--size", "3,2,5,7", "--size", "2,1,4,33", "--seconds", "0", "--threads", "1")
    lines = [line.split() for line in result.out.splitlines()[3:]]
    sizes = [[*size.split(), cell] for size in ("3 2 5 7", "2 1 4 33") for cell in harness.CELLS]
    expect([line[:5] for line in lines] == sizes and all(float(line[5]) > 0 for line in lines), result.out)
    result = succeeds("bench", "--size", "3,2,5,7", "--cell", "gru", "--seconds", "0")
    expect(len(result.out.splitlines()) == 4, result.out)
    for wrong in ("3,2,5", "3,2,5,0", "3,2,5,7,9", "a,b,c,d"):
        fails("bench", "--size", wrong, code=2, says=f"bench: --size {wrong}: it takes T,B,I,H")


def doctor_tells_how_the_machine_is_used(folder):
    out = succeeds("doctor").out
    for text in ["tidegate", "processor", "cores", "OpenBLAS core", "instructions", "matrix product", "advice"]:
        expect(text in out, f"{text} is missing in:", out)


if __name__ == "__main__":
    os.environ.pop("TIDEGATE_CHECK_FINITE", None)
    harness.main([test for name, test in list(globals().items())
                  if callable(test) and getattr(test, "__module__", "") == "__main__"])
