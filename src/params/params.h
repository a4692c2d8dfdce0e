/* params/params.h -- how layers declare parameters, and what is inside a set.
 *
 * A BLOCK is one tensor in memory, a matrix of `rows` rows; a VIEW is a range of its columns under a
 * name of the equations. The three gates of a GRU share one block W_x (I,3H), so that one product
 * serves them all, and are three views W_xz, W_xr, W_xg (I,H) to everyone else. */
#ifndef PARAMS_PARAMS_H
#define PARAMS_PARAMS_H

#include <tidegate/params.h>

#include "tensor/tape.h"

typedef struct param_view_spec { /* what a layer says */
    const char *name;            /* "W_xz" */
    int column, width;
    tg_init init;
} param_view_spec;

typedef struct param_block param_block;

typedef struct param_view {
    param_block *block;
    const char *name; /* "encoder/layer0/forward/W_xz" */
    int rank, dim[TG_MAX_RANK];
    int column, width;
    tg_init init;
} param_view;

struct param_block {
    tg_tensor x;   /* data and grad point into the flat blocks once frozen */
    size_t offset; /* of its first element in the flat blocks */
    tg_parameter_flags flags;
    param_block *next;
};

struct tg_params {
    tg_context *cx;
    arena memory;
    tg_params *source;   /* of a shared set: whose values these are */
    bool placed, frozen; /* it has its memory; and its values */
    param_block *first, *last;
    param_view *view; /* in order of declaration */
    int views, capacity;
    size_t flat;       /* elements of a flat block, padding between blocks (always zero) included */
    tg_real *value;    /* (flat) */
    tg_real *gradient; /* (flat); NULL: shared, read only */
};

/* A maker declares everything or nothing. It marks the set before its first declaration, and completes it after its last:
 * if the context is in error by then, whatever was declared since the mark is forgotten, and the set is as it was. Makers
 * may call each other. */
typedef struct params_mark {
    param_block *last;
    int views;
    size_t flat;
} params_mark;
params_mark tg__params_mark(const tg_params *ps);
bool tg__params_complete(tg_params *ps, params_mark mark); /* false: the context is in error */

/* The set, or the harmless one in place of NULL. */
tg_params *tg__params_or_nil(tg_params *ps);

/* True if what was made in ps (`what`: "layer", "parameter"; name: its own, or NULL) may run on t: the set frozen, of the same context, and not
 * read-only in training. ps is NULL for what could not be made. False: the context remembers. */
bool tg__params_ready(tg_params *ps, tg_tape *t, const char *who, const char *what, const char *name);

/* Declares a block (rank, dim) whose last dimension is cut into n views, named "<layer>/<view>" (or
 * "<view>" if layer is NULL). Returns its tensor, which gets its data when the set is frozen; NULL: the
 * context is in error. */
tg_tensor *tg__params_declare(tg_params *ps, const char *layer, int rank, const int dim[], int n,
                              const param_view_spec view[]);

/* Freezes the set if it is not: allocates and initializes. False: the context is in error. */
bool tg__params_freeze(tg_params *ps);
/* Its first half: allocates, for who sets all values and `frozen` then. Initial values can take longer than the values of
 * a file. */
bool tg__params_place(tg_params *ps);

param_view *tg__params_find(const tg_params *ps, const char *name); /* NULL: no such name */

/* Copies a view of a flat block (values, gradients, a moment) out of it into (rows, width), or back. */
void tg__params_gather(const param_view *v, const tg_real *flat, tg_real *dst);
void tg__params_scatter(const param_view *v, tg_real *flat, const tg_real *src);

#endif
