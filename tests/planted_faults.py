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

CELLS = "src/kernels/recurrent/cells/"
GRU, AFTER, LSTM = (f"{CELLS}{name}.c" for name in ("gru", "gru_reset_after", "lstm"))
TANH, RELU, MINGRU = (f"{CELLS}{name}.c" for name in ("tanh", "relu", "mingru"))
STEP, SWEEP, GRADIENTS, REGULARIZE = (f"src/kernels/recurrent/{name}.c" for name in ("step", "sweep", "gradients", "regularize"))
GATES, LOOK, ATTENDING = "src/kernels/simd/kernels.c", "src/kernels/attention.c", "src/kernels/recurrent/attending.c"

# (what is broken, file, the shipped text, the text with the fault)
FAULTS = [
    ("gru: dz without the derivative of the sigmoid", GRU, "* z * (1 - z), dg = dh", ", dg = dh"),
    ("gru: dz with the sign of h - g turned", GRU, "dh * (before(u, 0) - g) * z", "dh * (g - before(u, 0)) * z"),
    ("gru: dg without the derivative of tanh", GRU, "dg = dh * (1 - z) * d_tanh(g)", "dg = dh * (1 - z)"),
    ("gru: dg with the wrong gate", GRU, "dg = dh * (1 - z) * d_tanh(g)", "dg = dh * z * d_tanh(g)"),
    ("gru: dh without the part that z lets through", GRU, "set_d_state(u, 0, dh * z);", "set_d_state(u, 0, dh * 0);"),
    ("gru: dr without h(t-1)", GRU, "dr = drh * before(u, 0) * r * (1 - r)", "dr = drh * r * (1 - r)"),
    ("gru: dh without the part through r * h", GRU, "fma_(drh, r, d_state(u, 0))", "d_state(u, 0)"),
    ("gru: dW_hg from h instead of r * h", GRU, "set_kept(u, 0, r * before(u, 0));", "set_kept(u, 0, before(u, 0));"),
    ("reset after: dz without h - g", AFTER, "dz = dh * (before(u, 0) - g) * z * (1 - z)", "dz = dh * z * (1 - z)"),
    ("reset after: dr without q", AFTER, "dr = dg * q * r * (1 - r)", "dr = dg * r * (1 - r)"),
    ("reset after: dq without r", AFTER, "set_kept(u, 0, dg * r);", "set_kept(u, 0, dg);"),
    ("reset after: dh without the part that z lets through", AFTER, "set_d_state(u, 0, dh * z);", "set_d_state(u, 0, dh * 0);"),
    ("lstm: dc without the part through h", LSTM, "fma_(dh * o, d_tanh(tanh_c), d_state(u, 1))", "d_state(u, 1)"),
    ("lstm: dc without what arrives from c(t+1)", LSTM, "fma_(dh * o, d_tanh(tanh_c), d_state(u, 1))", "dh * o * d_tanh(tanh_c)"),
    ("lstm: dc without the derivative of tanh", LSTM, "fma_(dh * o, d_tanh(tanh_c), d_state(u, 1))", "fma_(dh, o, d_state(u, 1))"),
    ("lstm: di with the wrong factor", LSTM, "dc * g * d_sigmoid(i)", "dc * i * d_sigmoid(i)"),
    ("lstm: df with c(t) in place of c(t-1)", LSTM, "dc * before(u, 1) * d_sigmoid(f)", "dc * kept(u, C) * d_sigmoid(f)"),
    ("lstm: dg without the derivative of tanh", LSTM, "dc * i * d_tanh(g)", "dc * i"),
    ("lstm: do without tanh(c)", LSTM, "dh * tanh_c * d_sigmoid(o)", "dh * d_sigmoid(o)"),
    ("lstm: dc(t-1) without the forget gate", LSTM, "set_d_state(u, 1, dc * f);", "set_d_state(u, 1, dc);"),
    ("lstm: dh(t-1) not cleared", LSTM, "set_d_state(u, 0, all(0));", ""),
    ("tanh: without its derivative", TANH, "d_state(u, 0) * d_tanh(gate(u, 0))", "d_state(u, 0)"),
    ("tanh: dh(t-1) not cleared", TANH, "set_d_state(u, 0, all(0));", ""),
    ("relu: without its derivative", RELU, "blend(gate(u, 0) > all(0), d_state(u, 0), all(0))", "d_state(u, 0)"),
    ("relu: dh(t-1) not cleared", RELU, "set_d_state(u, 0, all(0));", ""),
    ("mingru: dz with the sign of g - h turned", MINGRU, "dh * (g - before(u, 0)) * d_sigmoid(z)", "dh * (before(u, 0) - g) * d_sigmoid(z)"),
    ("mingru: dz without the derivative of the sigmoid", MINGRU, "dh * (g - before(u, 0)) * d_sigmoid(z)", "dh * (g - before(u, 0))"),
    ("mingru: dg with the wrong gate", MINGRU, "set_gate(u, G, dh * z);", "set_gate(u, G, dh * (1 - z));"),
    ("mingru: dh(t-1) with the wrong gate", MINGRU, "set_d_state(u, 0, dh * (1 - z));", "set_d_state(u, 0, dh * z);"),
    ("dh without the products", STEP, "transposed_product(w, p, m, &s[i], b, A.of[i], 1, c->d[0]);", ""),
    ("dh without the second product of a phase", STEP, "m < w->cell->phase[p].products; m++) {", "m < 1; m++) {"),
    ("the gradient of a kept column is lost", STEP, "transposed_product(w, phase + 1, 0, &s[i], b, A.of[i], 0, s[i].dkept);",
     "memset(s[i].dkept, 0, sizeof *s[i].dkept);"),
    ("the gradient that arrives at y(t) is lost", STEP, "dh[j] += dy[j];", "(void)dy, (void)dh;"),
    ("zoneout: what was kept gets no gradient", STEP, "+= s->retained[k][i * row + (size_t)j];", "+= 0;"),
    ("dropout of the state: its mask is not in the gradient", STEP, "transposed_product(w, p, m, &s[i], b, A.of[i], 0, s[i].dkept);",
     "transposed_product(w, p, m, &s[i], b, A.of[i], 1, c->d[0]); continue;"),
    ("dropout of the state: the mask of a kept value is not in its gradient", STEP, "if (s[i].hidden_mask) tg__mask_rows", "if (0) tg__mask_rows"),
    ("layer normalization: without the mean of the gradient", REGULARIZE, "dx[j] - m - x[j] * m_x", "dx[j] - x[j] * m_x"),
    ("layer normalization: without the part through the deviation", REGULARIZE, "dx[j] - m - x[j] * m_x", "dx[j] - m"),
    ("layer normalization: no gradient of the gains of h", GRADIENTS, "tg__add_products_of_rows(N, m->columns * H,", "if (0) tg__add_products_of_rows(N, m->columns * H,"),
    ("a missing bias gradient", GRADIENTS, "if (g->into_b >= 0) sum_rows", "if (g->into_b > 0) sum_rows"),
    ("a missing recurrent bias", GRADIENTS, "if (g->into_b_h >= 0) sum_rows", "if (g->into_b_h < 0) sum_rows"),
    ("dW_h with another row's state before the first step", GRADIENTS, "o->before + at(row + go_on * s.apart, H)", "o->before"),
    ("dW of rows that lie over each other", GRADIENTS, "f->taken += rows;", ""),
    ("dW_x overwritten instead of added", GRADIENTS, "add_transposed_product(f->x, right, keep, W_x, G);", "add_transposed_product(f->x, right, 0, W_x, G);"),
    ("attending: the weights of what was fed get nothing", GRADIENTS, "add_transposed_product(f->fed, right, keep, W_x + at(s->I, G), G);", ""),
    ("of each row set the last row does not run backward", SWEEP, "running = set == CONTINUE ? ran : active,",
     "running = (set == CONTINUE ? ran : active) - (w->dy && !q->full),"),
    ("h(t-1) taken from the step itself", SWEEP, "return w->p->shape.reverse ? t + 1 : t - 1;", "return t;"),
    ("dx overwritten instead of added", SWEEP, "add_dx, dx);", "false, dx);"),
    ("the rows of the other shard", SWEEP, "row = part.first + first * part.apart,", "row = first * part.apart,"),
    ("a shard takes the other's dh", SWEEP, "take_shard_rows(q->shard[s], H, d[k], w.d[s][k]);", "take_shard_rows(q->shard[0], H, d[k], w.d[s][k]);"),
    ("attention: dx without the derivative of tanh", GATES, "dx = d * load(v + j, n) * (1 - y * y);", "dx = d * load(v + j, n);"),
    ("attention: dkeys overwritten instead of added", GATES,
     "store(dkeys + j, n, load(dkeys + j, n) + dx);", "store(dkeys + j, n, dx);"),
    ("attention: dw without the coverage", GATES, "store(dw + j, n, fma_(covered, dx, load(dw + j, n)));", "store(dw + j, n, dx + load(dw + j, n));"),
    ("attention: the softmax without its mean", LOOK, "de[s] = a[s] * (de[s] - mean);", "de[s] = a[s] * de[s];"),
    ("attention: the memory through its weights is lost", LOOK, "if (d.memory) simd->attention_spread", "if (0) simd->attention_spread"),
    ("attention: later coverage is lost", LOOK, "de[s] += dcoverage[s];", "de[s] += 0;"),
    ("dot: dq without the coverage", LOOK, "simd->attention_spread(1, x->D, &covered, x->w, dq, 0);", ""),
    ("attending: dquery does not reach h(t-1)", ATTENDING, "tg__matrix_product(&m->W_q, h->rows, dquery, D, 1, h->dh, H);", ""),
    ("attending: the context that was fed gets nothing", ATTENDING, "tg__matrix_product(&m->W_f, h->rows, h->gates, G, 1, b->dcontext + at(h->first, M), M);", ""),
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
            simd = ["-DSIMD=baseline", "-DSIMD_BASELINE"] if name == GATES or name.startswith(CELLS) else []
            case = "attention" if name in (LOOK, ATTENDING) or what.startswith(("attention", "attending")) else "rnn"
            caught = not passes([compiled(changed, "fault.o", "-DTG_SIMD_VARIANTS=1", *simd)], case)
            missed += not caught
            print(f"{'caught' if caught else 'MISSED'}: {what}")
    print(f"{len(FAULTS) - missed} passed, {missed} failed")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
