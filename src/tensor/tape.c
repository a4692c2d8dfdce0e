/* tensor/tape.c -- record and replay. */
#include "tensor/tape.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/team.h"

const char *const tg__tape_op_name[TAPE_OP_COUNT] = {
#define TAPE_OP(name) #name,
#include "tensor/ops.def"
#undef TAPE_OP
};
_Static_assert(TAPE_OP_COUNT <= 64, "tg_tape.seen has a bit for each op");

static tg_tape nil_tape = { .cx = &tg__context_nil };

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

tg_tape *tg_tape_new(tg_context *cx)
{
    tg_tape *t = tg__arena_zeroed(&cx->own, sizeof *t);
    if (!t || !tg__context_on_free(cx, tape_free, t)) return erring_tape(cx);
    t->cx = cx;
    tg__arena_init(&t->memory, cx);
    return t;
}

void tg_tape_begin(tg_tape *t, tg_mode mode)
{
    if (!t->memory.cx) return;
    tg__arena_reset(&t->memory);
    t->mode = mode;
    t->begun = true;
    t->consumed = false;
    t->last = NULL;
    t->length = 0;
    if (t->draws_step != t->cx->step) t->draws_step = t->cx->step, t->draws = 0;
}

tg_context *tg_tape_context(const tg_tape *t) { return t->cx; }
tg_mode tg_tape_mode(const tg_tape *t) { return t->mode; }
int tg_tape_length(const tg_tape *t) { return t->length; }
size_t tg_tape_bytes(const tg_tape *t) { return t->memory.peak; }

uint64_t tg__tape_draw(tg_tape *t) { return t->draws++; }
void *tg__tape_take(tg_tape *t, size_t bytes) { return tg__arena_take(&t->memory, bytes); }

bool tg__tape_ready(tg_tape *t, const char *op)
{
    if (t->cx->status) return false;
    if (t->begun && !t->consumed) return true;
    tg_context_fail(t->cx, TG_ERR_STATE, "%s: %s", op,
                    t->consumed ? "backward has consumed the tape: begin it anew"
                                : "the tape has not begun: call tg_tape_begin first");
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

tg_tensor *tg__tape_record(tg_tape *t, const tape_op *op, void *record, tg_tensor *y, int inputs,
                           tg_tensor *const input[])
{
    if (t->cx->status) return &t->cx->nil;
    if (t->cx->config.check_finite) {
        const size_t n = tg__size(y), bad = tg__first_nonfinite(y->data, n);
        if (bad < n)
            return tg__tape_fail(
                t, TG_ERR_NUMBER,
                "the first op whose output is not finite: %s, op %d of the tape, element %zu of %s is %g",
                tg__tape_op_name[op->kind], t->length, bad, tg__shape(y).s, (double)y->data[bad]);
    }
    if (t->mode != TG_TRAIN || !y->grad) return y;
    tape_node *n = tg__tape_take(t, sizeof *n);
    if (!n) return &t->cx->nil;
    *n = (tape_node){ .op = op, .record = record, .output = y, .previous = t->last };
    assert(inputs <= TAPE_MOST_INPUTS);
    for (int i = 0; i < inputs; i++) n->input[i] = input[i];
    t->last = n;
    t->length++;
    t->seen |= (uint64_t)1 << op->kind;
    return y;
}

static tg_status check_gradients(const tg_tape *t, const tape_node *n, int number)
{
    for (int i = 0; i < TAPE_MOST_INPUTS; i++) {
        const tg_tensor *x = n->input[i];
        if (!x || !x->grad) continue;
        const size_t size = tg__size(x), bad = tg__first_nonfinite(x->grad, size);
        if (bad < size)
            return tg_context_note(t->cx, TG_ERR_NUMBER,
                                   "the first op whose backward is not finite: %s, op %d of the tape, "
                                   "gradient %zu of input %d %s is %g",
                                   tg__tape_op_name[n->op->kind], number, bad, i, tg__shape(x).s,
                                   (double)x->grad[bad]);
    }
    return TG_OK;
}

/* Topological order is the order of recording, so backward is one loop from the end. */
static tg_status replay(tg_tape *t)
{
    int number = t->length;
    t->consumed = true;
    for (tape_node *n = t->last; n && !t->cx->status; n = n->previous) {
        n->op->backward(t, n->record);
        number--;
        if (t->cx->config.check_finite) {
            const tg_status s = check_gradients(t, n, number);
            if (s) return s;
        }
    }
    return t->cx->status;
}

static tg_status may_go_backward(const tg_tape *t)
{
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
    if (!loss || tg__size(loss) != 1)
        return tg_context_note(t->cx, TG_ERR_SHAPE, "tg_tape_backward: the loss must be one number, it is %s",
                               loss ? tg__shape(loss).s : "NULL");
    if (!isfinite(*loss->data))
        return tg_context_note(t->cx, TG_ERR_NUMBER, "tg_tape_backward: the loss is %g", (double)*loss->data);
    if (!loss->grad)
        return tg_context_note(t->cx, TG_ERR_STATE,
                               "tg_tape_backward: the loss depends on nothing that has a gradient");
    *loss->grad += 1;
    return replay(t);
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
    for (int k = 0; k < n; k++)
        if (!y[k]->grad)
            return tg_context_note(t->cx, TG_ERR_STATE, "tg_tape_backward_from: tensor %d %s has no gradient",
                                   k, tg__shape(y[k]).s);
    for (int k = 0; k < n; k++)
        tg__team_ranges(t->cx, tg__size(y[k]), 1 << 14, add_range, &(addition){ dy[k], y[k]->grad });
    return replay(t);
}
