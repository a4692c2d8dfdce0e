#!/usr/bin/env python3
"""headers.py ROOT CXX CC...: each public header compiles alone and twice, as C11, C++11 and C++17, and each struct whose
members a caller sets is made as core.h says for C++.

Exits with 77 (skipped) after the C half if CXX is empty: there is no C++ compiler."""
import pathlib
import re
import subprocess
import sys

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]


def compiles(compiler, language, standard, include, text):
    command = [*compiler, "-x", language, "-std=" + standard, *WARNINGS, "-I", include, "-"]
    done = subprocess.run(command, input=text, text=True, capture_output=True)
    return done.returncode == 0, done.stderr


def check(include, compiler, language, standard):
    if compiles(compiler, language, standard, include, "#include <tidegate/core.h>\ntg_no_such_type x;\n")[0]:
        sys.exit(f"{compiler[0]} compiles anything")
    wrong = 0
    for header in sorted(pathlib.Path(include, "tidegate").glob("*.h")):
        text = f"#include <tidegate/{header.name}>\n" * 2
        if language == "c++":
            for name in re.findall(r"^\} (tg_\w+);", header.read_text(encoding="utf-8"), re.M):
                text += f"void use(const {name} *);\nvoid make_{name}();\nvoid make_{name}() {{ {name} x{{}}; use(&x); }}\n"
        ok, said = compiles(compiler, language, standard, include, text + "int main(void);\n")
        if not ok:
            wrong += 1
            print(f"{header.name} alone as {standard}:\n{said}")
    return wrong


if __name__ == "__main__":
    include, cxx, cc = sys.argv[1] + "/include", sys.argv[2], sys.argv[3:]
    wrong = check(include, cc, "c", "c11")
    if cxx:
        wrong += check(include, [cxx], "c++", "c++11") + check(include, [cxx], "c++", "c++17")
    if wrong:
        sys.exit(1)
    print("every public header compiles alone")
    if not cxx:
        print("as C only: there is no C++ compiler")
        sys.exit(77)
