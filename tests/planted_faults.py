#!/usr/bin/env python3
"""Plants faults in a copy of the shipped source of the backward passes of GRU and attention, one at a time, and asks
the gradient check to catch each.

    planted_faults.py SOURCE_ROOT BUILD_ROOT COMPILER...

EMULATOR in the environment, if set, runs what the compiler makes.
"""
import os
import re
import shlex
import subprocess
import sys
import tempfile

GATES, CELL, SWEEP = "src/kernels/simd/kernels.c", "src/kernels/gru_cell.c", "src/kernels/gru.c"
GRADIENTS = "src/kernels/gru_gradients.c"
LOOK, ATTENDING = "src/kernels/attention.c", "src/kernels/attention_gru.c"

# (what is broken, file, the shipped text, the text with the fault)
FAULTS = [
    ("dz without the derivative of the sigmoid", GATES,
     "const vec dz = d * (load(before + j, n) - g) * z * (1 - z);", "const vec dz = d * (load(before + j, n) - g);"),
    ("dz with the sign of h - g turned", GATES,
     "d * (load(before + j, n) - g) * z * (1 - z)", "d * (g - load(before + j, n)) * z * (1 - z)"),
    ("dg without the derivative of tanh", GATES,
     "const vec dg = d * (1 - z) * (1 - g * g);", "const vec dg = d * (1 - z);"),
    ("dg with the wrong gate", GATES, "const vec dg = d * (1 - z) * (1 - g * g);", "const vec dg = d * z * (1 - g * g);"),
    ("dh without the part that z lets through", GATES, "store(dh_row + j, n, d * z);", "store(dh_row + j, n, d * 0);"),
    ("dr without h(t-1)", GATES, "const vec dr = d * load(before + j, n) * r * (1 - r);", "const vec dr = d * r * (1 - r);"),
    ("dh without the part through r * h", GATES,
     "store(dh_row + j, n, fma_(d, r, load(dh_row + j, n)));", "store(dh_row + j, n, load(dh_row + j, n));"),
    ("dW_hg from h instead of r * h", GATES, "store(rh_row + j, n, r * load(before + j, n));", "store(rh_row + j, n, load(before + j, n));"),
    ("reset after: dr without q", GATES, "const vec dr = dg * hq * r * (1 - r);", "const vec dr = dg * r * (1 - r);"),
    ("reset after: dq without r", GATES, "store(q_row + j, n, dg * r);", "store(q_row + j, n, dg);"),
    ("dh without the products of z and r", CELL, "add_product(c, &c->zr, lots, s, &A);", ""),
    ("reset after: dh without the product of q", CELL, "add_product(c, &c->g, lots, s, &q);", ""),
    ("the product of z only", CELL, "to_pack(TRANSPOSED, 2 * H, H, w.W_h,", "to_pack(TRANSPOSED, H, H, w.W_h,"),
    ("a missing bias gradient", GRADIENTS, "sum_rows(depth, c.n, dgates + c.first, 3 * H, keep, sum.b + c.first);", "if (!of_g) sum_rows(depth, c.n, dgates + c.first, 3 * H, keep, sum.b + c.first);"),
    ("reset after: a missing recurrent bias", GRADIENTS, "sum_rows(depth, c.n, dq, H, keep, sum.b_h + c.first);", ""),
    ("of each lot the last row does not run backward", SWEEP, "running = which == GO_ON ? ran : active,",
     "running = (which == GO_ON ? ran : active) - (w->dh[0] && !q->full),"),
    ("dW_h with another row's state before the first step", GRADIENTS, "w->h0 + at(row + go_on * p.apart, H)", "w->h0"),
    ("dW of rows that lie over each other", GRADIENTS, "f->taken += rows;", ""),
    ("h(t-1) taken from the step itself", SWEEP, "before = w->s.reverse ? t + 1 : t - 1,", "before = t,"),
    ("the gradient that arrives at y(t) is lost", CELL, "dh[j] += dy[j];", "(void)dy, (void)dh;"),
    ("dW_x overwritten instead of added", GRADIENTS, "product(inputs, dgate, keep, sum.W_x + c.first, 3 * H);", "product(inputs, dgate, 0, sum.W_x + c.first, 3 * H);"),
    ("dx overwritten instead of added", SWEEP, "w.W_x, add_dx, dx);", "w.W_x, false, dx);"),
    ("the rows of the other part of a batch", SWEEP, "row = p.first + first * p.apart,", "row = first * p.apart,"),
    ("a part takes the other's dh", SWEEP, "take_rows(q, part, s.H, dh, all.dh[part]);", "take_rows(q, 0, s.H, dh, all.dh[part]);"),
    ("attention: dx without the derivative of tanh", GATES, "dx = d * load(v + j, n) * (1 - y * y);", "dx = d * load(v + j, n);"),
    ("attention: dkeys overwritten instead of added", GATES,
     "store(dkeys + j, n, load(dkeys + j, n) + dx);", "store(dkeys + j, n, dx);"),
    ("attention: dw without the coverage", GATES, "store(dw + j, n, fma_(covered, dx, load(dw + j, n)));", "store(dw + j, n, dx + load(dw + j, n));"),
    ("attention: the softmax without its mean", LOOK, "de[s] = a[s] * (de[s] - mean);", "de[s] = a[s] * de[s];"),
    ("attention: the memory through its weights is lost", LOOK, "if (d.memory) simd->attention_spread", "if (0) simd->attention_spread"),
    ("attention: later coverage is lost", LOOK, "de[s] += dcoverage[s];", "de[s] += 0;"),
    ("dot: dq without the coverage", LOOK, "simd->attention_spread(1, x->D, &covered, x->w, dq, 0);", ""),
    ("attending: dquery does not reach h(t-1)", ATTENDING, "tg__matrix_product(&m->W_q, rows, dquery, D, 1, dh, H);", ""),
    ("attending: the context that was fed gets nothing", ATTENDING, "tg__matrix_product(&m->W_f, rows, gates, 3 * H, 1, dc, M);", ""),
    ("attending: what the next step was fed gets nothing", ATTENDING, "(du[j] + (fed ? fed[j] : 0))", "du[j]"),
    ("attending: u without the derivative of tanh", ATTENDING, "* (1 - u[j] * u[j]);", ";"),
]


def run(command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)


def flags(option, *packages):
    return run(["pkg-config", option, *packages]).stdout.split()


def main():
    root, build, compiler = sys.argv[1], sys.argv[2], sys.argv[3:]
    archive = os.path.join(build, "libtidegate-double-all.a")
    common = ["-std=c11", "-D_GNU_SOURCE", "-O1", "-DTG_DOUBLE=1", "-I", os.path.join(root, "include"), "-I", os.path.join(root, "src")]
    libraries = flags("--libs", "openblas", "hdf5-serial", "libxxhash", "check") + ["-lm", "-lpthread"]
    with open(os.path.join(build, "build.ninja"), encoding="utf-8") as ninja:
        sanitize = [word for word in ("-fsanitize=address,undefined",) if word in ninja.read()]
    with tempfile.TemporaryDirectory() as folder:
        def compiled(source, name, *more):
            target = os.path.join(folder, name)
            result = run([*compiler, *common, *sanitize, *more, "-c", source, "-o", target])
            if result.returncode:
                sys.exit(f"planted faults: {source} does not compile:\n{result.stdout}")
            return target

        def passes(objects, case):
            program = os.path.join(folder, "gradcheck")
            result = run([*compiler, *sanitize, check, *objects, archive, *libraries, "-o", program])
            if result.returncode:
                sys.exit(f"planted faults: does not link:\n{result.stdout}")
            return run([*shlex.split(os.environ.get("EMULATOR", "")), program], env={**os.environ, "CK_RUN_CASE": case}).returncode == 0

        check = compiled(os.path.join(root, "tests", "gradcheck.c"), "gradcheck.o", *flags("--cflags", "check"))
        if not passes([], "rnn") or not passes([], "attention"):
            sys.exit("planted faults: the gradient check fails on the source as it is")
        missed = 0
        for number, (what, name, right, wrong) in enumerate(FAULTS):
            with open(os.path.join(root, name), encoding="utf-8") as file:
                source = file.read()
            shipped = re.compile(r"\s+".join(map(re.escape, right.split())))  # however its lines are broken
            if not shipped.search(source):
                sys.exit(f"planted faults: '{what}': its text is no longer in {name}: renew the fault")
            changed = os.path.join(folder, f"fault{number}.c")
            with open(changed, "w", encoding="utf-8") as file:
                file.write(shipped.sub(lambda match: wrong, source))
            simd = ["-DSIMD=baseline", "-DSIMD_BASELINE"] if name == GATES else []
            case = "attention" if name in (LOOK, ATTENDING) or what.startswith("attention") else "rnn"
            caught = not passes([compiled(changed, "fault.o", "-DTG_SIMD_VARIANTS=1", *simd)], case)
            missed += not caught
            print(f"{'caught' if caught else 'MISSED'}: {what}")
    print(f"{len(FAULTS) - missed} passed, {missed} failed")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
