#!/usr/bin/env python3
"""tidegate plot: what is drawn of a run's metrics.csv, and what is said of one that cannot be drawn."""
import math
import os
import random
import re
import resource
import xml.etree.ElementTree as xml

import test_program_harness as harness
from test_program_harness import contents, edited, expect, fails, succeeds, trained, write

HEADER = "step,epoch,train_loss,valid_loss,lr,grad_norm,units_per_second,seconds\n"
SVG = "{http://www.w3.org/2000/svg}"


def run_of(folder, rows, name="run", header=HEADER):
    """A directory with a metrics.csv of these rows: texts, or (step, train_loss, valid_loss or "", lr, grad_norm)."""
    run = folder / name
    run.mkdir(exist_ok=True)
    text = "".join(row if isinstance(row, str) else
                   f"{row[0]},1,{row[1]},{row[2]},{row[3]},{row[4]},1000,{row[0] * 0.1:.9g}\n" for row in rows)
    write(run / "metrics.csv", header + text)
    return run


def falling(n, valid_every=10):
    return [(i, 4 * math.exp(-i / n) + 0.5, 4.2 * math.exp(-i / n) + 0.6 if i % valid_every == 0 else "", 0.01, 1.5)
            for i in range(1, n + 1)]


def drawn(path):
    """The picture's root, once it has been seen to be XML that stands alone."""
    text = path.read_text(encoding="utf-8")
    root = xml.fromstring(text)
    expect(root.tag == SVG + "svg" and float(root.get("width")) > 0, root.tag, root.attrib)
    expect(not re.search(r"<script|href|url\(|@import|nan|inf\b", text), "not self-contained, or no numbers", text)
    page = root.find(SVG + "rect")
    expect(page.get("fill") == "#fff" and page.get("width") == root.get("width"), "no white page")
    return root


def texts(root):
    return [element.text for element in root.iter(SVG + "text")]


def points(path):
    """The points of a path of M and L."""
    return [tuple(map(float, pair.split())) for pair in re.findall(r"[ML](-?[\d.]+ -?[\d.]+)", path.get("d"))]


def curves(root, colour):
    return [points(path) for path in root.iter(SVG + "path") if path.get("stroke") == colour and path.get("d").count("L")]


# ---- pictures ----

def plot_of_a_real_run_is_put_beside_it(folder):
    run = trained(folder)
    before = contents(run)
    done = succeeds("plot", f"{run}//")
    expect(not done.out and f" {run}/curves.svg." in done.err and len(done.err.splitlines()) == 1, done)
    after = contents(run)
    expect({path: after[path] for path in before} == before and len(after) == len(before) + 1, after.keys())
    said = texts(drawn(run / "curves.svg"))
    for text in ["loss (nats per token)", "step", "learning rate", "gradient norm", "training", "best", "20 steps, 2 epochs, 0:00:0"]:
        expect(any(text in one for one in said), f"{text} is missing in:", *said)
    best = min(float(row.split(",")[3]) for row in (run / "metrics.csv").read_text().splitlines()[1:]
               if row.split(",")[3])
    expect(any(f"best {best:.3g} at step" in one for one in said), f"best {best} is missing in:", *said)


def losses_have_the_unit_of_their_run(folder):
    run, other, bare = trained(folder), folder / "other", run_of(folder, falling(5), "bare")
    other.mkdir()
    write(other / "metrics.csv", (run / "metrics.csv").read_bytes())
    edited(run / "last.h5", other / "last.h5", **{"task": "speech", "run/unit": "frames<\u202e>"})
    for runs, unit in [([run], "loss (nats per token)"), ([other], r"loss (mean over frames<\u202e>)"), ([bare], "loss"),
                       ([run, run], "loss (nats per token)"),
                       ([run, other], "loss (the unit is not the same in all runs)")]:
        succeeds("plot", *runs, "--out", folder / "a.svg", "--scale", "linear")
        said = [text for text in texts(drawn(folder / "a.svg")) if text.startswith("loss")]
        expect(said == [unit], said)
    write(other / "last.h5", "damaged")  # a plot needs no checkpoint
    succeeds("plot", other, "--out", folder / "b.svg", "--scale", "linear")
    expect("loss" in texts(drawn(folder / "b.svg")), "no loss")


def curves_go_where_the_numbers_are(folder):
    run = run_of(folder, [(10, 2.0, "", 0.1, 1), (20, 1.0, 3.0, 0.1, 1), (40, 1.5, "", 0.1, 1), (50, 0.0, 1.0, 0.1, 1)])
    succeeds("plot", run, "--out", folder / "a.svg", "--scale", "linear")
    root = drawn(folder / "a.svg")
    training, validation = curves(root, "#0072B2")[0], curves(root, "#D55E00")[0]
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = training
    expect(abs((x1 - x0) - (x3 - x2)) < 0.02 and abs((x2 - x1) - 2 * (x1 - x0)) < 0.03, "steps", training)
    expect(abs((y1 - y0) - (y3 - y1) * 1) < 0.02 and y3 > y2 > y0, "losses", training)
    (a0, b0), (a1, b1) = validation
    expect(a0 == x1 and a1 == x3 and abs(b1 - y1) < 0.01 and abs((b1 - b0) - 2 * (y1 - y0)) < 0.03, validation, training)
    expect(len(root.findall(f".//{SVG}circle[@r='5']")) == 1, "one best validation")
    best = root.find(f".//{SVG}circle[@r='5']")
    expect((float(best.get("cx")), float(best.get("cy"))) == (a1, b1), "the best is somewhere else", best.attrib)


def scale_is_logarithmic_where_losses_span_much(folder):
    rows = [(i, 10.0 ** -i, "", 0.1, 1) for i in range(4)]
    for more, log in [([], True), (["--scale", "log"], True), (["--scale", "linear"], False)]:
        succeeds("plot", run_of(folder, rows), "--out", folder / "a.svg", *more)
        root = drawn(folder / "a.svg")
        heights = [y for _, y in curves(root, "#0072B2")[0]]
        steps = [b - a for a, b in zip(heights, heights[1:])]
        expect((max(steps) - min(steps) < 0.03) == log, more, heights)
        expect(any("log scale" in text for text in texts(root)) == log, more)
    succeeds("plot", run_of(folder, falling(30)), "--out", folder / "a.svg")
    expect(not any("log scale" in text for text in texts(drawn(folder / "a.svg"))), "a span of less than 20")
    succeeds("plot", run_of(folder, [(1, -1, "", 0, 0), (2, 5, 0, 0, 0)]), "--out", folder / "a.svg", "--scale", "log")
    drawn(folder / "a.svg")


def many_rows_make_no_large_picture_and_lose_no_peak(folder):
    random.seed(7)
    rows = [(i, 2 + random.random(), "", 0.1, 10 ** random.gauss(0, 1)) for i in range(1, 50001)]
    rows[33349] = (33350, 9.0, "", 0.1, 1)  # neither first nor last of a column of pixels
    run = run_of(folder, rows)
    succeeds("plot", run)
    root = drawn(run / "curves.svg")
    expect((run / "curves.svg").stat().st_size < 150000, (run / "curves.svg").stat().st_size)
    noisy, smooth = curves(root, "#0072B2")[:2]
    heights = sorted(y for _, y in noisy)
    expect(heights[1] - heights[0] > 100, "the peak is lost", heights[:3])
    expect(max(y for _, y in smooth) - min(y for _, y in smooth) < 20, "not smooth")
    expect(any("smoothed over" in text for text in texts(root)), texts(root))


def smooth_line_follows_a_straight_one(folder):
    run = run_of(folder, [(i, 10 - 0.01 * i, "", 0.1, 1) for i in range(1, 601)])
    succeeds("plot", run, "--scale", "linear")
    noisy, smooth = curves(drawn(run / "curves.svg"), "#0072B2")[:2]
    expect(len(noisy) == len(smooth) == 600, len(noisy), len(smooth))
    expect(all(abs(a - c) < 0.02 and abs(b - d) < 0.02 for (a, b), (c, d) in zip(noisy, smooth)), "not the line itself")


def runs_are_compared_in_one_picture(folder):
    runs = [run_of(folder, falling(20 + 10 * k), name) for k, name in enumerate(["one", "<&two>", "a'\"b", "d", "e", "f"])]
    succeeds("plot", *runs, "--out", folder / "all.svg")
    root = drawn(folder / "all.svg")
    for run in runs:
        expect(any(str(run)[-12:] in text and "best" in text for text in texts(root)), run, texts(root))
    colours = {path.get("stroke") for path in root.iter(SVG + "path") if path.get("stroke-width") == "2"}
    expect(len(colours) == 6, "six colours", colours)
    fails("plot", runs[0], runs[1], code=2, says="--out FILE is missing")
    fails("plot", *runs, runs[0], "--out", folder / "all.svg", code=2, says="one argument too many")


def names_cannot_break_the_picture(folder):
    for name in ["<script>&amp;'\"]]>", "l\x1b[31m\n\x7f", "日本語 e\u0301", "x" * 200, b"bad\xff\xc0\xaf".decode(
            errors="surrogateescape")]:
        run = run_of(folder, falling(5), name)
        succeeds("plot", f"{folder}/{name}/", "--out", folder / "a.svg")
        root = drawn(folder / "a.svg")
        expect(any("Learning curves of" in text for text in texts(root)), texts(root))
        expect((run / "metrics.csv").exists(), "lost")
    expect("a.svg.part" not in map(str, contents(folder)), contents(folder).keys())


def strange_numbers_are_left_out_and_told(folder):
    rows = [(1, 2.0, "", 0.1, "nan"), (2, "inf", "", 0.1, 1), (3, "-nan", 1.5, 0.1, 1e300), (4, 1.0, "-inf", 0.1, 2),
            (5, "", "", "", "")]
    run = run_of(folder, rows)
    done = succeeds("plot", run)
    expect(f"{run}/metrics.csv: 5 values are not finite: they are left out (the first in line 2)" in done.err, done)
    drawn(run / "curves.svg")


def few_rows_are_enough(folder):
    for rows in [[(1, 2.0, "", 0.1, 1)], [(0, 2.0, 3.0, 0.1, 1)], [(7, "", "", 0.1, "")], [(7, 0, 0, 0, 0)],
                 [(1, "nan", "nan", "nan", "nan")], [(5, 1e-300, "", 1e-300, 1e-300)], [(5, -1e30, 1e30, -1e30, 1e30)],
                 [(10 ** 15, 1, 1, 1, 1)], [(1, 1, 1, 1, 1), (10 ** 15, 1, 1, 1, 1)]]:
        for scale in ["auto", "linear", "log"]:
            succeeds("plot", run_of(folder, rows), "--scale", scale, "--out", folder / "a.svg")
            drawn(folder / "a.svg")


def row_that_is_being_written_is_left_out(folder):
    whole = run_of(folder, falling(10), "whole")
    for end in ["11,1,0.5", "11,1,0.5,,0.01,1.5,1000,1.1", "x"]:
        run = run_of(folder, falling(10) + [end], "run")
        done = succeeds("plot", run, "--out", folder / "a.svg")
        expect("metrics.csv: line 12 is cut off: it is left out" in done.err, done)
        succeeds("plot", whole, "--out", folder / "b.svg")
        a, b = ((folder / name).read_text().split("</text>", 1)[1] for name in ["a.svg", "b.svg"])
        expect(a == b, "the rest is not as without it")


def line_ends_of_another_system_are_read(folder):
    run = run_of(folder, falling(10))
    succeeds("plot", run, "--out", folder / "a.svg")
    write(run / "metrics.csv", (run / "metrics.csv").read_bytes().replace(b"\n", b"\r\n"))
    succeeds("plot", run, "--out", folder / "b.svg")
    expect((folder / "a.svg").read_bytes() == (folder / "b.svg").read_bytes(), "CR LF")


# ---- what cannot be drawn ----

def files_that_are_none_of_ours_are_told_with_their_line(folder):
    good = "".join(f"{i},1,2,,0.1,1,1000,1\n" for i in range(1, 4))
    for text, says in [
            (None, "metrics.csv: No such file"), ("", "line 1: is not 'step,"), (HEADER, "has no rows yet"),
            ("a,b\n1,2\n", "line 1: is not 'step,"), (HEADER.upper() + good, "line 1: is not"), (good, "line 1: is not"),
            (HEADER + good + "4,1,2\n", "line 5: has 3 columns, not 8"), (HEADER + "\n" + good, "line 2: has 1 columns"),
            (HEADER + good + "4,1,2,,0.1,1,1000,1,9\n", "line 5: has 9 columns, not 8"),
            (HEADER + good + "4,1,two,,0.1,1,1000,1\n", "line 5: 'two' is no number (train_loss)"),
            (HEADER + "1,1,2,,0x10,1,1000,1\n", "line 2: '0x10' is no number (lr)"),
            (HEADER + "1,1,2,,1e,1,1000,1\n", "line 2: '1e' is no number (lr)"),
            (HEADER + "1,1,2, ,1,1,1000,1\n", "line 2: ' ' is no number (valid_loss)"),
            (HEADER + "1,1,2,,nan(1),1,1000,1\n", "line 2: 'nan(1)' is no number"),
            (HEADER + good + "2,1,2,,0.1,1,1000,1\n", "line 5: step 2 comes after step 3"),
            (HEADER + good + "3,1,2,,0.1,1,1000,1\n", "line 5: step 3 comes after step 3"),
            (HEADER + ",1,2,,0.1,1,1000,1\n", "line 2: '' is no number (step)"),
            (HEADER + "1.5,1,2,,0.1,1,1000,1\n", "line 2: '1.5' is no step"),
            (HEADER + "-1,1,2,,0.1,1,1000,1\n", "line 2: '-1' is no step"),
            (HEADER + "nan,1,2,,0.1,1,1000,1\n", "line 2: 'nan' is no step"),
            (HEADER + "1e300,1,2,,0.1,1,1000,1\n", "line 2: '1e300' is no step"),
            (HEADER + good + "4,1,\0,,0.1,1,1000,1\n" + good, "line 5: byte 5 is a NUL"),
            (HEADER + good + "4," + "1" * 600 + "\n", "line 5: is longer than 510 bytes"),
            ("x" * 5000, "line 1: is longer"), (b"\xff\x00" * 4000, "line 1: ")]:
        run = folder / "run"
        run.mkdir(exist_ok=True)
        (run / "metrics.csv").unlink(missing_ok=True)
        if text is not None:
            write(run / "metrics.csv", text)
        write(folder / "a.svg", "before")
        before = contents(folder)
        result = fails("plot", run, "--out", folder / "a.svg", says=f"{run}/metrics.csv")
        expect(says in result.err and len(result.err.splitlines()) == 1, f"{says}?", result)
        expect(contents(folder) == before, "something was written", result)


def directories_and_pipes_are_no_metrics(folder):
    (folder / "run").mkdir()
    (folder / "run/metrics.csv").mkdir()
    fails("plot", folder / "run", says="run/metrics.csv: not a regular file")
    (folder / "run/metrics.csv").rmdir()
    os.mkfifo(folder / "run/metrics.csv")
    fails("plot", folder / "run", says="run/metrics.csv: not a regular file", timeout=20)
    fails("plot", folder / "nowhere", says="nowhere/metrics.csv: No such file")
    fails("plot", "x" * 5000, says="xxx: the name is too long")


def wrong_usage_says_so(folder):
    run = run_of(folder, falling(5))
    fails("plot", code=2, says="usage: tidegate plot DIR")
    fails("plot", run, "--out", run / "metrics.csv", code=2, says="--out takes a name that ends in .svg, not")
    fails("plot", run, "--out", ".svg", code=2, says="ends in .svg")
    fails("plot", run, "--scale", "cubic", code=2, says="--scale is one of auto|linear|log, not 'cubic'")
    expect(list(map(str, contents(folder))) == ["run/metrics.csv"], contents(folder).keys())


def what_cannot_be_written_harms_nothing(folder):
    run = run_of(folder, falling(200))
    write(run / "curves.svg", "before")
    before = contents(folder)

    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    fails("plot", run, says="curves.svg: cannot be written: File too large", preexec_fn=small_files)
    fails("plot", run, "--out", folder / "nowhere/a.svg", says="nowhere/a.svg: cannot be written: No such file")
    (folder / "d.svg").mkdir()
    fails("plot", run, "--out", folder / "d.svg", says="d.svg: not a regular file")
    (folder / "d.svg").rmdir()
    expect(contents(folder) == before, contents(folder).keys())
    (folder / "link.svg").symlink_to(run / "curves.svg")
    (run / "curves.svg").chmod(0o600)
    succeeds("plot", run, "--out", folder / "link.svg")
    expect((folder / "link.svg").is_symlink() and (run / "curves.svg").stat().st_mode & 0o777 == 0o600, "link and mode")
    drawn(run / "curves.svg")


if __name__ == "__main__":
    harness.main([plot_of_a_real_run_is_put_beside_it, losses_have_the_unit_of_their_run, curves_go_where_the_numbers_are,
                  scale_is_logarithmic_where_losses_span_much,
                  many_rows_make_no_large_picture_and_lose_no_peak, smooth_line_follows_a_straight_one,
                  runs_are_compared_in_one_picture, names_cannot_break_the_picture,
                  strange_numbers_are_left_out_and_told, few_rows_are_enough,
                  row_that_is_being_written_is_left_out, line_ends_of_another_system_are_read,
                  files_that_are_none_of_ours_are_told_with_their_line, directories_and_pipes_are_no_metrics,
                  wrong_usage_says_so, what_cannot_be_written_harms_nothing])
