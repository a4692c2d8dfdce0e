#!/usr/bin/env python3
"""symbols.py NM LIBRARY...: what the libraries define and call.

A shared library (.so) exports nothing but tg_ (not tg__), and uses nothing that prints, exits or changes
the process. A static one (.a) defines no global symbol but tg_ and tg__: it can be linked with anything.
"""
import re
import subprocess
import sys

# not sigaction: the driver catches signals for a program that asks it to (tg_training.catch_signals)
NEVER_CALLED = set("""abort exit _exit _Exit quick_exit printf vprintf puts putchar perror setlocale signal
    gets system popen srand srandom rand random alarm longjmp atexit __printf_chk __vprintf_chk stdout stderr stdin""".split())


def symbols(nm, *options):
    done = subprocess.run([nm, *options], text=True, capture_output=True, check=True)
    return [line.split()[-2:] for line in done.stdout.splitlines() if re.match(r".*\s[A-Za-z]\s\S+$", line)]


def check_shared(nm, library):
    for kind, name in symbols(nm, "--dynamic", library):
        name = name.split("@")[0]
        if kind in "UB" and name in NEVER_CALLED:
            yield f"uses {name}"
        elif kind not in "Uw" and not re.match(r"tg_[^_]", name):
            yield f"exports {name}"


def check_static(nm, library):
    for kind, name in symbols(nm, "--extern-only", "--defined-only", library):
        if kind in "TDBRCGSVWu" and not name.startswith("tg_"):
            yield f"defines {name}"


if __name__ == "__main__":
    nm, wrong = sys.argv[1], 0
    for library in sys.argv[2:]:
        found = list((check_static if library.endswith(".a") else check_shared)(nm, library))
        names = symbols(nm, *(["--dynamic"] if not library.endswith(".a") else []), library)
        if sum(name.startswith("tg_") for _, name in names) < 20:
            found.append("has hardly any symbol: is this the library?")
        wrong += len(found)
        for what in found:
            print(f"{library} {what}")
    print(f"{wrong} wrong in {len(sys.argv) - 2} libraries")
    sys.exit(bool(wrong))
