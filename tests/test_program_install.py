#!/usr/bin/env python3
"""What is installed, used as README.md and docs/installing.md say: the program, programs built with pkg-config in C and C++, a subproject.

In the environment: BUILD (the build folder, with everything built), CC and CXX (commands; CXX may be empty)."""
import contextlib
import functools
import os
import pathlib
import re
import shlex
import subprocess
import tempfile

import test_program_harness as harness
from test_program_harness import Missing, ROOT, expect

BUILD = pathlib.Path(os.environ["BUILD"])
CC, CXX = (shlex.split(os.environ[name]) for name in ["CC", "CXX"])
STRICT = ["-Wall", "-Wextra", "-pedantic", "-Werror"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
INSTALLING = (ROOT / "docs" / "installing.md").read_text(encoding="utf-8")
EXAMPLE = re.search("```c\n(.*?)```", README, re.S).group(1)
SHARED = tempfile.TemporaryDirectory(prefix="tidegate-")


def run(*command, code=0, **more):
    """With nothing in the environment that helps the loader but what is in `more`. Returns what it printed."""
    variables = {**os.environ, "LD_LIBRARY_PATH": "", **more}
    done = subprocess.run([str(word) for word in command], env=variables, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=120)
    expect(code is None or done.returncode == code, f"{shlex.join(map(str, command))} -> {done.returncode}", done.stdout)
    return done.stdout


@contextlib.contextmanager
def installation(staged):
    """Everything installed below the folder `staged`, as packagers do, and the pkg-config files changed to this prefix,
    which is yielded. Meson's list of what `ninja uninstall` removes is of this installation meanwhile."""
    log = BUILD / "meson-logs" / "install-log.txt"
    before = log.read_bytes() if log.exists() else None
    try:
        run("meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", staged)
        files = list(pathlib.Path(staged).rglob("*.pc"))
        configured = re.search("^prefix=(.*)$", files[0].read_text(), re.M).group(1)
        prefix = pathlib.Path(f"{staged}{configured}")
        for file in files:
            text = file.read_text()
            expect(text.count(configured) == 1, f"the prefix stands in {file} more than once:", text)
            file.write_text(text.replace(configured, str(prefix)))
        yield prefix
    finally:
        if before is None:
            log.unlink(missing_ok=True)
        else:
            log.write_bytes(before)


@functools.cache
def installed():
    """One for all tests."""
    with installation(SHARED.name) as prefix:
        return prefix


def pkg_config(*words, **more):
    folder = next(installed().rglob("pkgconfig"))
    return run("pkg-config", *words, **{"PKG_CONFIG_PATH": folder, **more}).split()


def documented_line(pattern, folder):
    """The line of docs/installing.md that has the pattern, run in folder as it stands."""
    line, = re.findall(rf"^    (.*{pattern}.*)$|`(cc {pattern}.*?)`", INSTALLING, re.M)
    run("sh", "-c", f"cd '{folder}' && {line[0] or line[1]}", PKG_CONFIG_PATH=next(installed().rglob("pkgconfig")))


def losses(program, **more):
    return [float(x) for x in re.findall(r"loss (\S+)", run(program, **more))]


def in_cpp(source):
    """Each &(config){ .a = x, .b = y } becomes what core.h says for C++: a config with a name, set member by member."""
    number = 0
    while found := re.search(r"&\((tg_\w+)\)\{ (.*?) \}", source, re.S):
        name, number = f"config{number}", number + 1
        members = re.findall(r"\.(\w+) = ([^,]+)", found.group(2))
        named = f" {found.group(1)} {name}{{}};" + "".join(f" {name}.{member} = {x};" for member, x in members)
        statement = max(source.rfind(end, 0, found.start()) for end in ";{}") + 1
        source = source[:statement] + named + source[statement:found.start()] + f"&{name}" + source[found.end():]
    expect(number >= 4, "no configs in the example")
    return source


def installed_program_starts(folder):
    program = installed() / "bin" / "tidegate"
    expect(run(program, "--version").startswith("tidegate "), "no version")
    expect("libtidegate.so" in run("ldd", program), "it is not the program that uses the shared library")


def pkg_config_needs_and_leaks_nothing_of_other_libraries(folder):
    for name, more in {"tidegate": [], "tidegate-double": ["-DTG_DOUBLE=1"]}.items():
        alone = {"PKG_CONFIG_LIBDIR": next(installed().rglob("pkgconfig"))}  # no other .pc file is found
        expect(pkg_config("--cflags", name, **alone) == [f"-I{installed()}/include", *more], name)
        expect(pkg_config("--libs", name, **alone)[1:] == [f"-l{name}"], name)
        static = pkg_config("--static", "--libs", name, **alone)
        expect(static.index(f"-l{name}") < static.index("-lopenblas") < static.index("-lm"), *static)


def documented_lines_build_the_example(folder):
    (folder / "model.c").write_text(EXAMPLE)
    documented_line("-Wl,-rpath", folder)
    learnt = losses(folder / "model")
    expect(len(learnt) == 4 and learnt[-1] < 0.5 * learnt[0], "it does not learn:", learnt)
    os.remove(folder / "model")
    documented_line(r"--libs tidegate\) -lm", folder)
    expect(losses(folder / "model", LD_LIBRARY_PATH=pkg_config("--variable=libdir", "tidegate")[0]) == learnt, "another model")


def readme_example_learns_nothing_with_its_targets_in_the_other_order(folder):
    (folder / "model.c").write_text(EXAMPLE.replace(", .batch_first = true", ""))
    documented_line("-Wl,-rpath", folder)
    learnt = losses(folder / "model")
    expect(len(learnt) == 4 and learnt[-1] > 0.8 * learnt[0], "it learns:", learnt)


def readme_example_is_strict_c_and_cpp(folder):
    if not CXX:
        raise Missing("C++ compiler")
    (folder / "model.c").write_text(EXAMPLE)
    (folder / "model.cpp").write_text(in_cpp(EXAMPLE))
    rpath = f"-Wl,-rpath,{pkg_config('--variable=libdir', 'tidegate')[0]}"
    first = None
    for compiler, standard, library in [(CC, "c11", "tidegate"), (CC, "c11", "tidegate-double"), (CXX, "c++11", "tidegate"),
                                        (CXX, "c++17", "tidegate")]:
        source, program = folder / f"model.{'c' if compiler is CC else 'cpp'}", folder / f"{library}-{standard}"
        run(*compiler, f"-std={standard}", *STRICT, source, *pkg_config("--cflags", "--libs", library), rpath, "-o", program)
        printed = losses(program)
        first = first or printed
        expect(printed == first or library == "tidegate-double", f"not the same losses as {standard}:", printed, first)


def static_linking_needs_no_shared_library(folder):
    example = next(installed().rglob("language_model.c"))
    (folder / "model.c").write_text(example.read_text())
    try:
        documented_line("-static", folder)
    except AssertionError as what:
        if "cannot find -l" in str(what):
            raise Missing("static libraries of what tidegate needs") from what
        raise
    expect("not a dynamic executable" in run("ldd", folder / "model", code=None), "it is not static")
    run(folder / "model", code=1)


def documents_examples_and_licence_are_installed(folder):
    documentation = installed() / "share" / "doc" / "tidegate"
    for name in ["README.md", "CHANGELOG.md", "LICENSE"]:
        expect((documentation / name).read_bytes() == (ROOT / name).read_bytes(), name)
    for name, origin in {"docs": ROOT / "docs", "examples": ROOT / "tools" / "examples"}.items():
        expect(sorted(os.listdir(documentation / name)) == sorted(set(os.listdir(origin)) - {"meson.build"}), name)


def a_subproject_gives_the_dependency(folder):
    (folder / "subprojects").mkdir()
    (folder / "subprojects" / "tidegate").symlink_to(ROOT)
    (folder / "model.c").write_text(EXAMPLE)
    (folder / "meson.build").write_text("""project('host', 'c', default_options: 'c_std=c11')
executable('model', 'model.c', dependencies: dependency('tidegate'))
executable('model-double', 'model.c', dependencies: dependency('tidegate-double'))
""")
    build = folder / "build"
    run("meson", "setup", build, folder, "--force-fallback-for=tidegate,tidegate-double", CC=shlex.join(CC))
    run("ninja", "-C", build, "model.p/model.c.o", "model-double.p/model.c.o")
    targets = run("ninja", "-C", build, "-t", "targets", "all")
    expect("libtidegate.so" in targets and "test_core_context" not in targets, "tests are built for the host project")


def uninstalling_leaves_nothing(folder):
    with installation(folder / "staged") as prefix:
        expect((prefix / "bin" / "tidegate").exists(), "nothing is installed")
        run("ninja", "-C", BUILD, "uninstall")
    left = [path for path in folder.rglob("*") if not path.is_dir()]
    expect(not left, "still there:", *left)


if __name__ == "__main__":
    harness.main([installed_program_starts, pkg_config_needs_and_leaks_nothing_of_other_libraries,
                  documented_lines_build_the_example, readme_example_learns_nothing_with_its_targets_in_the_other_order,
                  readme_example_is_strict_c_and_cpp, static_linking_needs_no_shared_library,
                  documents_examples_and_licence_are_installed, a_subproject_gives_the_dependency,
                  uninstalling_leaves_nothing])
