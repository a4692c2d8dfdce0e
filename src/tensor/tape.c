/* tensor/tape.c -- record and replay. */
#include "tensor/tape.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "core/team.h"

const char *const tg__tape_op_name[TAPE_OP_COUNT] = {
#define TAPE_OP(name) #name,
#include "tensor/ops.def"
#undef TAPE_OP
};
_Static_assert(TAPE_OP_COUNT <= 64, "tg_tape.seen has a bit for each op");

static tg_tape nil_tape = { .cx = &tg__context_nil, .mode = TG_EVAL };

static void tape_free(void *object) { tg__arena_free(&((tg_tape *)object)->memory); }

/* The one tape of an erring context, so that it can tell why: it never begins. */
static tg_tape *erring_tape(tg_context *cx)
{
    if (cx == &tg__context_nil) return &nil_tape;
    if (!cx->nil_tape) cx->nil_tape = tg__allocate(cx, sizeof(tg_tape));
    if (!cx->nil_tape) return &nil_tape;
    tg_tape *t = cx->nil_tape;
    t->cx = cx;
    return t;
}

static tg_tape *or_nil(tg_tape *t) { return t ? t : &nil_tape; }

tg_tape *tg_tape_new(tg_context *cx)
{
    if (!cx) return &nil_tape;
    tg_tape *t = tg__arena_zeroed(&cx->own, sizeof *t);
    if (!t || !tg__context_on_free(cx, tape_free, t)) return erring_tape(cx);
    t->cx = cx;
    tg__arena_init(&t->memory, cx);
    t->next = cx->tapes;
    cx->tapes = t;
    return t;
}

void tg_tape_begin(tg_tape *t, tg_mode mode)
{
    t = or_nil(t);
    if (!t->memory.cx) {
        tg_context_fail(t->cx, TG_ERR_STATE,
                        "tg_tape_begin: this tape was made while its context was in error");
        return;
    }
    if (mode != TG_TRAIN && mode != TG_EVAL) {
        tg_context_fail(t->cx, TG_ERR_ARGUMENT, "tg_tape_begin: mode is %d, must be TG_TRAIN or TG_EVAL",
                        (int)mode);
        return;
    }
    tg__arena_reset(&t->memory);
    t->mode = mode;
    t->begun = true;
    t->consumed = false;
    t->last = NULL;
    t->length = t->ops = t->outputs = 0;
    t->draws = (uint64_t)t->cx->passes << TAPE_DRAW_BITS;
}

tg_context *tg_tape_context(const tg_tape *t) { return t ? t->cx : &tg__context_nil; }
tg_mode tg_tape_mode(const tg_tape *t) { return t ? t->mode : TG_EVAL; }
int tg_tape_length(const tg_tape *t) { return t ? t->length : 0; }
size_t tg_tape_bytes(const tg_tape *t) { return t ? t->memory.peak : 0; }

uint64_t tg__tape_draw(tg_tape *t) { return t->draws++; }
void *tg__tape_take(tg_tape *t, size_t bytes) { return tg__arena_take(&t->memory, bytes); }

tg_tensor *tg__tape_nil(const tg_tape *t) { return t ? &t->cx->nil : &tg__context_nil.nil; }

bool tg__tape_ready(tg_tape *t, const char *op)
{
    if (!t || t->cx->status) return false;
    if (t->begun && !t->consumed) return true;
    tg_context_fail(t->cx, TG_ERR_STATE, "%s: %s", op,
                    t->consumed     ? "backward has consumed the tape: begin it anew"
                    : !t->memory.cx ? "this tape was made while its context was in error"
                                    : "the tape has not begun: call tg_tape_begin first");
    return false;
}

/* Was the tensor made on another tape, whose backward pass its gradient belongs to? */
static bool is_foreign(const tg_tape *t, const tg_tensor *x)
{
    if (!x->grad || t->mode != TG_TRAIN || tg__arena_holds(&t->memory, x)) return false;
    for (const tg_tape *other = t->cx->tapes; other; other = other->next)
        if (other != t && tg__arena_holds(&other->memory, x)) return true;
    return false;
}

const char *tg__tape_objection(const tg_tape *t, const tg_tensor *x)
{
    if (!x) return "is NULL";
    if (x->cx && x == &x->cx->nil) return "is the harmless tensor of a call that failed";
    if (x->cx != t->cx) return "belongs to another context";
    if (is_foreign(t, x)) return "belongs to another tape, where its gradient would not arrive";
    return NULL;
}

bool tg__tape_takes(tg_tape *t, const char *op, const char *what, const tg_tensor *x)
{
    if (!tg__tape_ready(t, op)) return false;
    const char *objection = tg__tape_objection(t, x);
    if (!objection) return true;
    tg_context_fail(t->cx, x ? TG_ERR_STATE : TG_ERR_ARGUMENT, "%s: %s %s", op, what, objection);
    return false;
}

tg_tensor *tg__tape_fail(tg_tape *t, tg_status status, const char *format, ...)
{
    char message[sizeof t->cx->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    tg_context_fail(t->cx, status, "%s", message);
    return &t->cx->nil;
}

static bool outputs_are_finite(tg_tape *t, const tape_op *op, int outputs, tg_tensor *const output[])
{
    for (int i = 0; i < outputs; i++) {
        const tg_tensor *y = output[i];
        const size_t n = y ? tg__size(y) : 0, bad = y ? tg__first_nonfinite(y->data, n) : 0;
        if (bad == n) continue;
        tg__tape_fail(t, TG_ERR_NUMBER,
                      "the first op whose output is not finite: %s, op %d of the tape, element %zu of output "
                      "%d %s is %g",
                      tg__tape_op_name[op->kind], t->ops, bad, i, tg__shape(y).s, (double)y->data[bad]);
        return false;
    }
    return true;
}

/* Copies those that have a gradient; returns how many. */
static int with_gradient(int n, tg_tensor *const x[], tg_tensor **to)
{
    int found = 0;
    for (int i = 0; i < n; i++)
        if (x[i] && x[i]->grad) to[found++] = x[i];
    return found;
}

void tg__tape_record_all(tg_tape *t, const tape_op *op, void *record, int outputs, tg_tensor *const output[],
                         int inputs, tg_tensor *const input[])
{
    if (t->cx->status) return;
    if (t->cx->config.check_finite && !outputs_are_finite(t, op, outputs, output)) return;
    const int number = t->ops++;
    if (t->mode != TG_TRAIN) return;
    tape_node *n = tg__tape_take(t, sizeof *n);
    tg_tensor **tensor = tg__tape_take(t, (size_t)(outputs + inputs) * sizeof *tensor);
    if (t->cx->status) return;
    *n = (tape_node){ .op = op, .record = record, .number = number, .tensor = tensor, .previous = t->last };
    n->outputs = with_gradient(outputs, output, tensor);
    n->inputs = with_gradient(inputs, input, tensor + n->outputs);
    if (!n->outputs) return;
    t->last = n;
    t->length++;
    t->outputs += n->outputs;
    t->seen |= (uint64_t)1 << op->kind;
}

tg_tensor *tg__tape_record(tg_tape *t, const tape_op *op, void *record, tg_tensor *y, int inputs,
                           tg_tensor *const input[])
{
    tg__tape_record_all(t, op, record, 1, &y, inputs, input);
    return t->cx->status ? &t->cx->nil : y;
}

/* ---- backward ----
 *
 * Topological order is the order of recording, so backward is one loop from the end. It runs the ops that the loss
 * depends on, and no others: an infinite value that the loss does not depend on would otherwise turn the zeros that
 * arrive there into NaN. Views share their gradient with what they are views of, so an op is found by the memory of
 * its outputs' gradients. */

typedef struct tape_output { /* the memory of an output's gradient */
    uintptr_t first, end;
    tape_node *node;
} tape_output;

typedef struct tape_outputs {
    int n;
    tape_output *all; /* (n), by rising address */
} tape_outputs;

static int by_address(const void *a, const void *b)
{
    const tape_output *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

static tape_outputs outputs_of(tg_tape *t)
{
    tape_outputs o = { 0, tg__tape_take(t, (size_t)t->outputs * sizeof *o.all) };
    if (t->cx->status) return o;
    for (tape_node *n = t->last; n; n = n->previous)
        for (int i = 0; i < n->outputs; i++) {
            const tg_real *grad = n->tensor[i]->grad;
            o.all[o.n++] = (tape_output){ (uintptr_t)grad, (uintptr_t)(grad + tg__size(n->tensor[i])), n };
        }
    qsort(o.all, (size_t)o.n, sizeof *o.all, by_address);
    return o;
}

/* A gradient arrives at x: the op that made it is needed. (Parameters and inputs were made by none.) */
static void need(tape_outputs o, const tg_tensor *x)
{
    const uintptr_t at = (uintptr_t)x->grad;
    int low = 0, high = o.n; /* o.all[low - 1] begins at or before `at`, o.all[high] after it */
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (o.all[middle].first <= at)
            low = middle + 1;
        else
            high = middle;
    }
    if (low && at < o.all[low - 1].end) o.all[low - 1].node->needed = true;
}

/* when: "is", after the op's backward; or "was", before anything was added to it. */
static tg_status check_gradients(const tg_tape *t, const tape_node *n, const char *what, const char *when)
{
    for (int i = 0; i < n->inputs; i++) {
        const tg_tensor *x = n->tensor[n->outputs + i];
        const size_t size = tg__size(x), bad = tg__first_nonfinite(x->grad, size);
        if (bad < size)
            return tg_context_note(
                t->cx, TG_ERR_NUMBER, "%s: %s, op %d of the tape, gradient %zu of input %d %s %s %g", what,
                tg__tape_op_name[n->op->kind], n->number, bad, i, tg__shape(x).s, when, (double)x->grad[bad]);
    }
    return TG_OK;
}

/* Finds gradients that were not finite before backward began, such as those of a parameter from an earlier pass: no op of
 * this tape is to blame for them. */
static tg_status check_before(const tg_tape *t)
{
    tg_status s = TG_OK;
    for (const tape_node *n = t->last; n && !s; n = n->previous)
        s = check_gradients(t, n, "a gradient was not finite before backward began", "was");
    return s;
}

/* Gradients have arrived at y[0..n-1]. */
static tg_status replay(tg_tape *t, int n_roots, tg_tensor *const root[])
{
    const bool check = t->cx->config.check_finite;
    t->consumed = true;
    t->cx->passes++;
    const tape_outputs outputs = outputs_of(t);
    for (int k = 0; k < n_roots; k++) need(outputs, root[k]);
    for (tape_node *n = t->last; n && !t->cx->status; n = n->previous) {
        if (!n->needed) continue;
        n->op->backward(t, n->record);
        for (int i = 0; i < n->inputs; i++) need(outputs, n->tensor[n->outputs + i]);
        const tg_status s =
            check ? check_gradients(t, n, "the first op whose backward is not finite", "is") : TG_OK;
        if (s) return s;
    }
    return t->cx->status;
}

static tg_status may_go_backward(const tg_tape *t)
{
    if (!t) return TG_ERR_ARGUMENT;
    if (t->cx->status) return t->cx->status;
    if (!t->begun) return tg_context_note(t->cx, TG_ERR_STATE, "tg_tape_backward: the tape has not begun");
    if (t->consumed)
        return tg_context_note(t->cx, TG_ERR_STATE, "tg_tape_backward: the tape is consumed already");
    if (t->mode != TG_TRAIN)
        return tg_context_note(t->cx, TG_ERR_STATE, "tg_tape_backward: the tape was begun with TG_EVAL");
    return TG_OK;
}

tg_status tg_tape_backward(tg_tape *t, tg_tensor *loss)
{
    const tg_status s = may_go_backward(t);
    if (s) return s;
    const char *objection = tg__tape_objection(t, loss);
    if (objection)
        return tg_context_note(t->cx, loss ? TG_ERR_STATE : TG_ERR_ARGUMENT, "tg_tape_backward: loss %s",
                               objection);
    if (tg__size(loss) != 1)
        return tg_context_note(t->cx, TG_ERR_SHAPE, "tg_tape_backward: the loss must be one number, it is %s",
                               tg__shape(loss).s);
    if (!isfinite(*loss->data))
        return tg_context_note(t->cx, TG_ERR_NUMBER, "tg_tape_backward: the loss is %g", (double)*loss->data);
    if (!loss->grad)
        return tg_context_note(t->cx, TG_ERR_STATE,
                               "tg_tape_backward: the loss depends on nothing that has a gradient");
    const tg_status before = t->cx->config.check_finite ? check_before(t) : TG_OK;
    if (before) return before;
    *loss->grad += 1;
    return replay(t, 1, &loss);
}

typedef struct addition {
    const tg_real *x;
    tg_real *y;
} addition;

static void add_range(void *argument, size_t first, size_t end)
{
    const addition *a = argument;
    const tg_real *restrict x = a->x;
    tg_real *restrict y = a->y;
    for (size_t i = first; i < end; i++) y[i] += x[i];
}

tg_status tg_tape_backward_from(tg_tape *t, int n, tg_tensor *const y[], const tg_real *const dy[])
{
    const tg_status s = may_go_backward(t);
    if (s) return s;
    if (n < 0) return tg_context_note(t->cx, TG_ERR_ARGUMENT, "tg_tape_backward_from: n is %d", n);
    const tg_status missing = n ? MISSING(t->cx, ARG(y), ARG(dy)) : TG_OK;
    if (missing) return missing;
    for (int k = 0; k < n; k++) {
        const char *objection = tg__tape_objection(t, y[k]);
        if (objection)
            return tg_context_note(t->cx, y[k] ? TG_ERR_STATE : TG_ERR_ARGUMENT,
                                   "tg_tape_backward_from: tensor %d of y %s", k, objection);
        if (!dy[k])
            return tg_context_note(t->cx, TG_ERR_ARGUMENT, "tg_tape_backward_from: array %d of dy is NULL",
                                   k);
        if (!y[k]->grad)
            return tg_context_note(t->cx, TG_ERR_STATE, "tg_tape_backward_from: tensor %d %s has no gradient",
                                   k, tg__shape(y[k]).s);
    }
    const tg_status before = t->cx->config.check_finite ? check_before(t) : TG_OK;
    if (before) return before;
    for (int k = 0; k < n; k++) {
        const size_t size = tg__size(y[k]),
                     bad = t->cx->config.check_finite ? tg__first_nonfinite(dy[k], size) : size;
        if (bad < size)
            return tg_context_note(
                t->cx, TG_ERR_NUMBER,
                "tg_tape_backward_from: element %zu of the gradient arriving at tensor %d %s is %g", bad, k,
                tg__shape(y[k]).s, (double)dy[k][bad]);
    }
    for (int k = 0; k < n; k++)
        tg__team_ranges(t->cx, tg__size(y[k]), 1 << 14, add_range, &(addition){ dy[k], y[k]->grad });
    return replay(t, n, y);
}
