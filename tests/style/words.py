#!/usr/bin/env python3
"""words.py ROOT: what never stands in the tree: notes to self, paths of somebody's machine, tabs and
space at line ends in sources, C files over 600 lines."""
import pathlib
import re
import sys

LONGEST = 600
TEXT = {".c", ".h", ".def", ".py", ".sh", ".build", ".txt", ".md", ".yml"}
CODE = {".c", ".h", ".def", ".py", ".sh"}
# each in two pieces, so that this file may hold them
FORBIDDEN = [
    (re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b"), "a note to self"),
    (re.compile(r"(?<![\w.>])/(ho" r"me|ro" r"ot|wo" r"rk|Us" r"ers)/\w"), "a path of one machine"),
]


def check_file(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        for pattern, what in FORBIDDEN:
            if pattern.search(line):
                yield f"{path}:{number}: {what}: {line.strip()[:80]}"
        if path.suffix in CODE and (line != line.rstrip() or ("\t" in line and path.suffix != ".py")):
            yield f"{path}:{number}: a tab, or space at the end of the line"
    if path.suffix in CODE and path.suffix != ".py" and len(lines) > LONGEST:
        yield f"{path}: {len(lines)} lines, at most {LONGEST}"


def check(root):
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if parts[0].startswith("build") or parts[0] == ".git" or not path.is_file():
            continue
        if path.suffix in TEXT or parts[0] == ".ci":
            if parts[0] == "datasets" and path.suffix not in CODE:
                continue
            yield from check_file(path)


if __name__ == "__main__":
    wrong = list(check(pathlib.Path(sys.argv[1])))
    print("\n".join(wrong) or "nothing that should not be there")
    sys.exit(bool(wrong))
