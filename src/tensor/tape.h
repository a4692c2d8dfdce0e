/* tensor/tape.h -- how ops are written. The shortest are in ops/pointwise.c.
 *
 * An op is a forward function that computes at once, a record of what its backward needs, and a
 * backward function that ADDS to the gradients of its inputs. Its name stands in ops.def. */
#ifndef TENSOR_TAPE_H
#define TENSOR_TAPE_H

#include <tidegate/tape.h>

#include "core/context.h"
#include "core/team.h"

typedef enum tape_op_kind {
#define TAPE_OP(name) TAPE_OP_##name,
#include "tensor/ops.def"
#undef TAPE_OP
    TAPE_OP_COUNT
} tape_op_kind;

extern const char *const tg__tape_op_name[TAPE_OP_COUNT];

typedef struct tape_op { /* one for each op, static const */
    tape_op_kind kind;
    void (*backward)(tg_tape *t, void *record);
} tape_op;

/* A recorded op. Backward runs it if the loss depends on one of its outputs. */
typedef struct tape_node {
    const tape_op *op;
    void *record;
    int number;          /* of the op, as messages have it */
    int outputs, inputs; /* those with a gradient */
    tg_tensor **tensor;  /* the outputs, then the inputs */
    bool needed;         /* backward: a gradient arrives at an output */
    struct tape_node *previous;
} tape_node;

struct tg_tape {
    tg_context *cx;
    tg_tape *next; /* of the context's */
    arena memory;
    tg_mode mode;
    bool begun, consumed;
    tape_node *last;
    int length;     /* ops recorded */
    int ops;        /* ops run since tg_tape_begin, recorded or not */
    int outputs;    /* of all recorded ops */
    uint64_t draws; /* random masks drawn since tg_tape_begin, and the pass; see tg__tape_draw */
    uint64_t seen;  /* bit k: op kind k was recorded since the tape was made */
};

/* The harmless tensor of a tape, which may be NULL. */
tg_tensor *tg__tape_nil(const tg_tape *t);

/* True if an op may go ahead. False: the context is, or now is, in error; return tg__tape_nil(t). */
bool tg__tape_ready(tg_tape *t, const char *op);

/* True if an op on t may go ahead and x may be its argument `what`: x is there, of this context, no harmless tensor, and
 * (because its gradient would be lost) of no other tape. */
bool tg__tape_takes(tg_tape *t, const char *op, const char *what, const tg_tensor *x);
/* Why x cannot be an argument, or NULL. */
const char *tg__tape_objection(const tg_tape *t, const tg_tensor *x);

/* A tensor on the tape. Its data are NOT set; its gradient, if `gradient` and training, is zero.
 * NULL: the context is in error. */
tg_tensor *tg__tape_tensor(tg_tape *t, int rank, const int dim[], bool gradient);
/* Another shape, or a part, of x from element `offset` on; shares data and gradient. */
tg_tensor *tg__tape_view(tg_tape *t, tg_tensor *x, size_t offset, int rank, const int dim[]);
void *tg__tape_take(tg_tape *t, size_t bytes); /* not zeroed; NULL: the context is in error */

/* Appends an op with one output if y has a gradient, and returns y. inputs: every tensor whose gradient the op's
 * backward adds to; NULL and tensors without a gradient are allowed. */
tg_tensor *tg__tape_record(tg_tape *t, const tape_op *op, void *record, tg_tensor *y, int inputs,
                           tg_tensor *const input[]);
/* The same for several outputs, NULL allowed: every tensor whose gradient the op's backward reads. */
void tg__tape_record_all(tg_tape *t, const tape_op *op, void *record, int outputs, tg_tensor *const output[],
                         int inputs, tg_tensor *const input[]);

/* The context remembers; returns the harmless tensor. */
tg_tensor *tg__tape_fail(tg_tape *t, tg_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The place of the next random mask in the context's step: in the low TAPE_DRAW_BITS how many were drawn since tg_tape_begin,
 * above them how many backward passes the step had had then. Not a matter of which tape it is. Training passes only. */
enum { TAPE_DRAW_BITS = 24 };
uint64_t tg__tape_draw(tg_tape *t);

/* "[35,32,650]" */
typedef struct shape_text {
    char s[64];
} shape_text;
shape_text tg__shape(const tg_tensor *x);
bool tg__same_shape(const tg_tensor *x, const tg_tensor *y);

static inline size_t tg__size(const tg_tensor *x)
{
    size_t n = 1;
    for (int i = 0; i < x->rank; i++) n *= (size_t)x->dim[i];
    return n;
}
/* The last dimension, and how many rows of it there are. */
static inline int tg__columns(const tg_tensor *x) { return x->rank ? x->dim[x->rank - 1] : 1; }
static inline size_t tg__rows(const tg_tensor *x)
{
    size_t n = 1;
    for (int i = 0; i + 1 < x->rank; i++) n *= (size_t)x->dim[i];
    return n;
}

/* Index of the first element that is not finite, or n. */
size_t tg__first_nonfinite(const tg_real *x, size_t n);

#endif
