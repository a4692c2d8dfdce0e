/* checkpoint/layout.h -- where everything stands in a checkpoint; saving and restoring share these tables.
 *
 *     /                          format, format_version, library_version, precision, task
 *     /parameters/<name>         one dataset a parameter
 *     /optimizer                 kind, lr, steps, settings; /optimizer/<moment>/<name> one dataset a parameter
 *     /training                  seed, random_step; with a tg_progress its fields
 *     /training/schedule         kind and the fields of tg_schedule
 *     /training/states/0/h       carried states; and c, of cells that have it
 *     /run                       openblas_version, openblas_core, simd_variant: not compared
 *     and whatever the caller adds. docs/checkpoint.md says it at length.                         */
#ifndef CHECKPOINT_LAYOUT_H
#define CHECKPOINT_LAYOUT_H

#include <tidegate/checkpoint.h>

#include "core/context.h"
#include "params/params.h"

#define CHECKPOINT_FORMAT    "tidegate"
#define CHECKPOINT_PRECISION (TG_DOUBLE ? "float64" : "float32")
#define CHECKPOINT_REAL      (TG_DOUBLE ? TG_FLOAT64 : TG_FLOAT32)
enum { CHECKPOINT_VERSION = 1 };

/* One field of a struct that is saved as one value. Both ways it must be within its range, so that whoever counts on from
 * it meets no overflow and no NaN: AS_COUNTED is finite, not negative, and far from where it would overflow; ANY_SIGN the
 * same on both sides of 0; ANY_NUMBER whatever fits. */
typedef struct field {
    const char *path;
    enum { FIELD_INT64, FIELD_INT, FIELD_BOOL, FIELD_DOUBLE, FIELD_REAL } kind;
    size_t offset;
    enum { AS_COUNTED, ANY_SIGN, ANY_NUMBER } range;
    bool optional; /* of a schedule that goes on with another period; absent stands for 0 */
} field;

/* The value of a field, in the one of the two that its kind says; TG_ERR_FORMAT with a sentence if it is out of range. */
tg_status tg__field_check(tg_context *cx, const char *file, const field *f, int64_t integer, double number);
static inline bool tg__field_is_number(const field *f)
{
    return f->kind == FIELD_DOUBLE || f->kind == FIELD_REAL;
}

extern const field tg__progress_field[], tg__schedule_field[]; /* up to a NULL path */

/* A path of an archive, put together. Paths too long for an archive are cut, and refused there. */
typedef struct path_text {
    char s[1100];
} path_text;
path_text tg__path(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The context of what is to be saved or restored; NULL: nothing was given. */
tg_context *tg__checkpoint_context(const tg_checkpoint *c);
int tg__checkpoint_states(const tg_checkpoint *c);
/* The tensors of a carried state, by name; x is NULL for one that the cell does not have. */
enum { STATE_TENSORS = 2 };
typedef struct named_state {
    const char *name;
    tg_tensor *x;
} named_state;
static inline named_state tg__checkpoint_state(const tg_checkpoint *c, int i, int k)
{
    return k ? (named_state){ "c", c->states[i].c } : (named_state){ "h", c->states[i].h };
}

/* Checks that hold for saving and restoring: the context is not in error, what was given fits together. */
tg_status tg__checkpoint_check(const tg_checkpoint *c, const char *who);

/* What tg_checkpoint_save() would seal into the file `path`; the caller frees it. */
tg_status tg__checkpoint_gather(const char *path, const tg_checkpoint *c, tg_archive **to);

/* Is there a dataset of this library's numbers for every parameter, of its shape, and nothing else below "parameters"?
 * Asked before the parameters have their memory: a file that declares more than it holds makes nobody allocate it. */
tg_status tg__checkpoint_check_parameters(tg_context *cx, const tg_archive *a, const tg_params *ps);

/* Is this the archive of a checkpoint, of a version that we can read? */
tg_status tg__checkpoint_check_root(tg_context *cx, const tg_archive *a);

#endif
