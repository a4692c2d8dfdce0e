#!/usr/bin/env python3
"""headers.py ROOT CC [CXX]: each public header compiles alone and twice, as C11 and as C++17.

Exits with 77 (skipped) after the C half if there is no C++ compiler."""
import pathlib
import subprocess
import sys

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]


def compiles(compiler, language, standard, include, text):
    command = [compiler, "-x", language, "-std=" + standard, *WARNINGS, "-I", include, "-"]
    done = subprocess.run(command, input=text, text=True, capture_output=True)
    return done.returncode == 0, done.stderr


def check(include, compiler, language, standard):
    if compiles(compiler, language, standard, include, "#include <tidegate/core.h>\ntg_no_such_type x;\n")[0]:
        sys.exit(f"{compiler} compiles anything")
    wrong = 0
    for header in sorted(pathlib.Path(include, "tidegate").glob("*.h")):
        line = f"#include <tidegate/{header.name}>\n"
        ok, said = compiles(compiler, language, standard, include, line + line + "int main(void);\n"
                            if language == "c" else line + line + "int main();\n")
        if not ok:
            wrong += 1
            print(f"{header.name} alone as {standard}:\n{said}")
    return wrong


if __name__ == "__main__":
    include = sys.argv[1] + "/include"
    wrong = check(include, sys.argv[2], "c", "c11")
    if len(sys.argv) > 3:
        wrong += check(include, sys.argv[3], "c++", "c++17")
    if wrong:
        sys.exit(1)
    print("every public header compiles alone")
    if len(sys.argv) < 4:
        print("as C only: there is no C++ compiler")
        sys.exit(77)
