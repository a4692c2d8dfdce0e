#!/usr/bin/env python3
"""The program on a terminal: nothing from outside acts on it, and it asks who sits there."""
import os
import pathlib
import termios
import unicodedata

import test_program_harness as harness
from test_program_harness import (ROOT, TINY, Run, Terminal, edited, expect, on_terminal, succeeds, tiny_pairs,
                                  trained, wait_until, write)

# Valid UTF-8 that acts on a terminal, on the order of what stands around it, or shows nothing.
ACTS = "".join(["\x1b]0;title\x07", "\x7f", "\x9b31m", "\u202e", "\u2066", "\u061c", "\u200f", "\u2028", "\u2029", "\U000e0041",
                "\u200b", "\ufeff", "\ufff9", "\u00ad", "\u3164"])
TEXT = f"t{ACTS}t"
NAME = os.fsencode(f"n{ACTS}\n") + b"\x9b31m\xff\xc3n"  # a file's name may be any bytes
ESCAPED = r"\x1b]0;title\x07\x7f\u009b31m\u202e\u2066\u061c\u200f\u2028\u2029\U000e0041\u200b\ufeff\ufff9\u00ad\u3164"
ESCAPED_NAME = ESCAPED + r"\x0a\x9b31m\xff\xc3n"


def acts(shown):
    """What of the shown bytes is not a visible character, a space, a tab between columns or a line end; [] if nothing."""
    bad = []
    for line in shown.replace(b"\r\n", b"\n").replace(b"\t", b" ").split(b"\n"):
        text = line.decode(errors="surrogateescape")
        bad += [(c, line) for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") or c == "\u3164"]
    return bad


def ways(folder):
    """(what is shown, how): every way that a text from outside takes to the terminal."""
    base = os.fsencode(folder) + b"/"
    name = base + NAME
    run, data, good = name + b"run", name + b".tsv", folder / "good.tsv"
    plain, copy = folder / "plain", folder / "copy"
    tiny_pairs(good)
    write(pathlib.Path(os.fsdecode(data)), f"ja\t{TEXT}\n" * 8 + f"no no no\ta\tb\nja\t{TEXT}\n")
    train = ["train", "translate", "--train"]
    learn = [*train, data, "--out", run, *TINY, "--tokenizer", "spaces", "--epochs", 40, "--lr", 0.02, "--max-length", 2,
             "--checkpoint-every", 1000]
    yield "name", learn, [" pairs", "left out", "came before", "The model is"]
    yield "name", ["resume", run], ["going on after step", "nothing to do"]
    succeeds(*train, good, "--valid", good, "--out", plain, *TINY, "--epochs", 1, "--tokenizer", "words", "--quiet")

    # on the command line
    for arguments in [["sing" + TEXT], ["--" + TEXT], ["train", TEXT], ["translate", "a", "b", TEXT], ["verify", "--" + TEXT],
                      ["verify", "-" + TEXT], [*train, good, "--cell", TEXT], [*train, good, "--hidden", TEXT],
                      ["resume", plain, "--set", TEXT], ["resume", plain, "--set", TEXT + "=1"],
                      ["resume", plain, "--set", "lr=" + TEXT], ["resume", plain, "--set", "schedule=" + TEXT],
                      ["translate", plain, "--attention", TEXT], ["plot", plain, "--out", TEXT]]:
        yield "text", arguments, []

    # names of files that are missing, or hold something else
    (folder / "empty").write_bytes(b"")
    write(pathlib.Path(os.fsdecode(name)), b"\xff\n")
    for arguments in [[*train, name + b"?", "--out", run + b"2"], [*train, name, "--out", run + b"2"],
                      [*train, good, "--codes", name + b"?", "--out", run + b"2"], [*train, good, "--out", name],
                      [*train, good, "--out", run], ["resume", name + b"?"], ["translate", name + b"?"],
                      ["translate", plain, name + b"?"], ["translate", plain, name], ["translate", name],
                      ["translate", plain, good, "--attention", name + b"/a.svg"], ["evaluate", name + b"?", "--data", good],
                      ["evaluate", plain, "--data", name + b"?"], ["evaluate", plain, "--data", name],
                      ["score", "--reference", name + b"?", good], ["score", "--reference", name, good],
                      ["score", "--reference", good, name + b"?"], ["score", "--reference", data, good],
                      ["plot", name + b"?"], ["plot", plain, "--out", name + b"/a.svg"], ["inspect", name + b"?"],
                      ["inspect", name], ["verify", name + b"?"], ["verify", name], ["seal", name + b"?"], ["seal", name]]:
        yield "name", arguments, []

    # what a checkpoint holds
    copy.mkdir()
    (copy / "metrics.csv").write_bytes((plain / "metrics.csv").read_bytes())
    for path in ["task", "data/train/path", "run/openblas_core", "format", "precision", "parameters/" + TEXT,
                 "model/cell", "optimizer/kind"]:
        edited(plain / "last.h5", copy / "last.h5", **{path: TEXT})
        yield "text", ["resume", copy, "--set", "epochs=2"], []
    edited(plain / "last.h5", copy / "last.h5", **{"task": TEXT, "parameters/" + TEXT: TEXT, f"{TEXT}/{TEXT}": TEXT})
    yield "text", ["inspect", copy / "last.h5"], [f"\n{'t' + ESCAPED + 't'}\n", f"  {'t' + ESCAPED + 't'} {'t' + ESCAPED + 't'}"]
    yield "name", ["inspect", run], ["t" + ESCAPED + "t"]  # a token
    pathlib.Path(os.fsdecode(run + b"/last.h5")).write_bytes(b"damaged")
    yield "name", ["resume", run, "--set", "epochs=41"], ["last.h5.1"]
    yield "name", ["verify", run + b"/last.h5"], [": ok"]
    yield "name", ["seal", run + b"/last.h5"], []
    yield "text", ["translate", run, base + b"ja"], []
    yield "text", ["translate", run, base + b"ja", "--beam", 2, "--nbest", 2], []

    # metrics.csv
    yield "name", ["plot", run], ["The picture is"]
    metrics = pathlib.Path(os.fsdecode(run + b"/metrics.csv"))
    metrics.write_text(metrics.read_text() + "9999,1,nan,")
    yield "name", ["plot", run], ["is cut off"]
    metrics.write_text(metrics.read_text().replace("9999,1,nan,", f"{TEXT},1,1,,1,1,1,1\n"))
    yield "text", ["plot", run], ["is no number"]


def nothing_from_outside_acts_on_a_terminal(folder):
    write(folder / "ja", "ja\n")
    for kind, arguments, says in ways(folder):
        run = on_terminal(*arguments)
        bad, shown = acts(run.shown), run.shown.decode(errors="replace").replace("\r\n", "\n")
        expect(not bad, "acts on the terminal:", bad, run)
        # a message may show the first bytes of a long text only
        expect((ESCAPED_NAME if kind == "name" else ESCAPED[:60]) in shown, "the text is not shown:", run)
        for what in says:
            expect(what in shown, f"'{what}' is missing:", run)


def what_is_no_terminal_gets_translations_as_they_are(folder):
    data = write(folder / "train.tsv", f"ja\t{TEXT}\n" * 8)
    succeeds("train", "translate", "--train", data, "--out", folder / "run", *TINY, "--tokenizer", "spaces", "--epochs", 40,
             "--lr", 0.02, "--quiet")
    expect(succeeds("translate", folder / "run", stdin=b"ja\n").out == TEXT + "\n", "a pipe gets other bytes")
    expect(not acts(succeeds("inspect", folder / "run").out.encode()), "inspect is for people, wherever it goes")


# ---- somebody who types ----

def asked(run, *more, term="xterm"):
    return Terminal("translate", run, *more, term=term)


def await_prompt(terminal, number, edited):
    """Until it asks for the number-th line, and reads keys one by one if lines are edited."""
    terminal.read_until(b"> ", number)
    wait_until(lambda: not edited or not terminal.modes()[3] & termios.ICANON)


def edits():
    """Was the program built with libedit?"""
    return b"el_gets" in pathlib.Path(harness.PROGRAM).read_bytes()


def translate_on_a_terminal_greets_asks_and_ends_cleanly(folder):
    run, picture = trained(folder), folder / "a.txt"
    translation = succeeds("translate", run, stdin=b"1 4\n").out.strip()
    for term in ["xterm", "dumb"]:
        for key, code in [(b"\x04", 0), (b"\x03", 130)]:  # Ctrl-D, Ctrl-C
            terminal = asked(run, "--attention", picture, term=term)
            before = terminal.modes()
            await_prompt(terminal, 1, edits())
            terminal.write(b"1 4\n")
            await_prompt(terminal, 2, edits())
            terminal.write(key)
            expect(terminal.end(keep=True) == code, terminal)
            lines = terminal.shown.decode().split("\r\n")
            expect(lines[0] == "Type a sentence and press Enter to translate it; Ctrl-D ends.", terminal)
            expect(translation in lines and lines[-1] == "" and lines[-2].startswith("The attention of 1 sentence"), terminal)
            expect(terminal.modes() == before, "the terminal is left in another mode", terminal)
            expect(picture.read_text().startswith("sentence 1\n"), "what was attended to is lost", terminal)
            picture.unlink()
            terminal.close()
    expect("> " not in Run("translate", run, stdin=b"1 4\n").err, "a pipe is asked, too")


def typed_lines_are_edited_and_remembered(folder):
    if not edits():
        raise harness.Missing("libedit")
    run = trained(folder, "--lr", 0.02, epochs=10)
    translation = succeeds("translate", run, stdin=b"1 4\n").out
    terminal = asked(run)
    for number, keys in enumerate([b"4\x01 \x01x\x7f1\n", b"\x1b[A\n", b"\n", b"\xc3\xa9\n"], 1):
        await_prompt(terminal, number, True)
        terminal.write(keys)
    await_prompt(terminal, 5, True)
    terminal.write(b"\x04")
    expect(terminal.end() == 0, terminal)
    shown = terminal.shown.decode().replace("\r\n", "\n")
    expect(shown.count("\n" + translation) == 2, "not the line that was edited, and again from the history", translation, terminal)
    expect("é\n" in shown, "a letter is lost", terminal)


def all_talk_passes_through_one_door(folder):
    for file in sorted((ROOT / "tools/tidegate").glob("*.c")):
        for number, line in enumerate(file.read_text().splitlines(), 1):
            expect(file.name == "talk.c" or "stderr" not in line or ".talk = " in line or line.startswith((" *", "/*")),
                   f"{file}:{number}: writes to stderr itself: {line}")


if __name__ == "__main__":
    harness.main([nothing_from_outside_acts_on_a_terminal, what_is_no_terminal_gets_translations_as_they_are,
                  translate_on_a_terminal_greets_asks_and_ends_cleanly, typed_lines_are_edited_and_remembered, all_talk_passes_through_one_door])
