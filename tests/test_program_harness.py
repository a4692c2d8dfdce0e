"""What the tests of the program share: running it, tiny data, and a main() that tells what failed.

A test is a function whose name is a sentence; it is handed a fresh directory, which is removed after it."""
import fcntl
import os
import pathlib
import re
import pty
import select
import shutil
import subprocess
import sys
import tempfile
import termios
import time
import traceback

PROGRAM = ""  # set by main()
COMPARE = ""
EDIT = ""
ROOT = pathlib.Path(__file__).resolve().parent.parent
CELLS = re.findall(r'^TG_CELL\(\w+, \w+, "(.*)"\)$', (ROOT / "include/tidegate/cells.def").read_text(), re.M)

# a model that learns nothing much, but in no time
TINY = ["--embed", "8", "--hidden", "12", "--batch", "4", "--log-every", "1"]


class Run:
    """One run of the program: its exit code (128 + N when killed by signal N), stdout and stderr."""

    def __init__(self, *arguments, stdin=b"", timeout=120, **more):
        done = subprocess.run([PROGRAM, *map(str, arguments)], input=stdin, capture_output=True,
                              timeout=timeout, **more)
        self.code = done.returncode if done.returncode >= 0 else 128 - done.returncode
        self.out, self.err = done.stdout.decode(), done.stderr.decode()
        self.what = " ".join(map(str, arguments))

    def __str__(self):
        return f"tidegate {self.what} -> {self.code}\n--- stdout\n{self.out}--- stderr\n{self.err}---"


def expect(truth, *what):
    if not truth:
        raise AssertionError("\n".join(map(str, what)))


def succeeds(*arguments, **more):
    run = Run(*arguments, **more)
    expect(run.code == 0, "expected success:", run)
    return run


def fails(*arguments, code=1, says="", **more):
    """The run ends with that code, nothing on stdout, and one line (two for usage) that says so."""
    run = Run(*arguments, **more)
    lines = run.err.splitlines()
    expect(run.code == code, f"expected exit code {code}:", run)
    expect(lines and lines[0 if code == 2 else -1].startswith("tidegate: "), "expected 'tidegate: what: why':", run)
    expect(code != 2 or len(lines) == 2, "expected two lines:", run)
    expect(says in run.err, f"expected '{says}' in:", run)
    return run


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def tiny_pairs(path, n=40):
    """Counting, in digits and in words: a few tokens, all lengths from one to three."""
    words = "zero one two three four five six seven eight nine".split()
    lines = [f"{' '.join(str(i))}\t{' '.join(words[int(d)] for d in str(i))}" for i in range(0, n * 7, 7)]
    return write(path, "\n".join(lines) + "\n")


def trained(folder, *more, epochs=2, name="run"):
    """A finished tiny run in folder/run."""
    data = tiny_pairs(folder / "train.tsv")
    run = folder / name
    succeeds("train", "translate", "--train", data, "--valid", data, "--out", run, *TINY, "--epochs", epochs,
             "--tokenizer", "words", "--quiet", *more)
    return run


def contents(folder):
    """Every file below folder but the lock, which tells who came last."""
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != "lock"}


def differing(a, b):
    """What differs between two checkpoints in all that must be equal; empty if nothing does."""
    done = subprocess.run([COMPARE, str(a), str(b)], capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr if done.returncode else ""


def edited(checkpoint, to, **texts):
    """A copy of a checkpoint, sealed, where these texts stand: edited(a, b, **{"run/openblas_core": "Z80"})."""
    subprocess.run([EDIT, str(checkpoint), str(to), *(f"{path}={text}" for path, text in texts.items())], check=True, timeout=60)
    return to


class Terminal:
    """A pseudo-terminal that the program is started on; what it shows is in .shown, as bytes."""

    def __init__(self, *arguments, term="dumb", **more):
        try:
            self.master, self.slave = pty.openpty()
        except OSError as error:  # a bare chroot has none
            raise Missing(f"pseudo-terminal: {error}") from error
        streams = {"stdin": self.slave, "stdout": self.slave, "stderr": self.slave, **more}
        self.shown = b""
        self.child = subprocess.Popen([PROGRAM, *(a if isinstance(a, bytes) else str(a) for a in arguments)],
                                      env={**os.environ, "TERM": term}, start_new_session=True, preexec_fn=self.control,
                                      **streams)

    def control(self):
        """In the child: the terminal is its own, so that Ctrl-C is a signal."""
        fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

    def __str__(self):
        return f"on a terminal: {self.child.args} -> {self.child.returncode}\n{self.shown}"

    def modes(self):
        return termios.tcgetattr(self.slave)

    def read(self):
        """The next piece; False: the program has ended, and all is read."""
        while not select.select([self.master], [], [], 0.002)[0]:
            if self.child.poll() is not None and not select.select([self.master], [], [], 0)[0]:
                return False
        self.shown += os.read(self.master, 65536)
        return True

    def read_until(self, what, times=1):
        while self.shown.count(what) < times:
            expect(self.read(), f"{what} is not shown {times} times:", self)

    def write(self, keys):
        os.write(self.master, keys)

    def end(self, keep=False):
        """Everything that is shown until the program ends -> its exit code as a shell has it."""
        while self.read():
            pass
        if not keep:
            self.close()
        code = self.child.returncode
        return code if code >= 0 else 128 - code

    def close(self):
        os.close(self.master)
        os.close(self.slave)


def on_terminal(*arguments, **more):
    """A run whose stdout and stderr are a terminal, to its end."""
    run = Terminal(*arguments, stdin=subprocess.DEVNULL, **more)
    run.end()
    return run


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        expect(time.monotonic() < end, f"nothing happened in {seconds} s")
        time.sleep(0.005)


class Missing(Exception):
    """The system lacks what a test needs."""


def needs_the_program_alone(what):
    """Skips a test of memory or of preloading, which an emulator and the address sanitizer change."""
    program = pathlib.Path(PROGRAM).read_bytes()
    if program.startswith(b"#!") or b"__asan_" in program:
        raise Missing(f"{what} in an emulator or with sanitizers")


def main(tests):
    """argv: the program, the comparing program, then names of tests (all if none)."""
    global PROGRAM, COMPARE, EDIT
    PROGRAM, COMPARE = (os.path.abspath(path) for path in sys.argv[1:3])
    EDIT = COMPARE.replace("compare_checkpoints", "edit_checkpoint")  # beside it
    chosen = [test for test in tests if len(sys.argv) < 4 or test.__name__ in sys.argv[3:]]
    failed = skipped = 0
    for test in chosen:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-"))
        begin = time.monotonic()
        try:
            test(folder)
            print(f"ok      {test.__name__}  {time.monotonic() - begin:.1f} s", flush=True)
        except Missing as what:
            skipped += 1
            print(f"skipped {test.__name__}: no {what}", flush=True)
        except Exception:  # whatever it is, the other tests run
            failed += 1
            print(f"FAILED  {test.__name__}", flush=True)
            traceback.print_exc(file=sys.stdout)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(chosen) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    sys.exit(bool(failed) or not chosen)
