/* tidegate/params.h -- named parameters in one flat block.
 *
 * Layers DECLARE their parameters while they are made. The first use (a layer run on a tape, an
 * optimizer, a load, a get or set) freezes the set: values are allocated as one flat block and
 * initialized, gradients as another. Declaring later is an error. The names are those of the
 * equations and of the checkpoint, whatever the layout in memory:
 * "encoder/layer0/forward/W_xz" (I,H).                                                        */
#ifndef TIDEGATE_PARAMS_H
#define TIDEGATE_PARAMS_H

#include "tape.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tg_params tg_params;

TG_API tg_params *tg_params_new(tg_context *cx); /* never NULL; has memory of its own */
TG_API void tg_params_free(tg_params *ps);       /* before the context, or with it */

/* A set in cx whose values are those of ps, read only, so that a server has one model and a
 * context for each thread: make the same layers over it. ps must outlive it and not change. */
TG_API tg_params *tg_params_share(tg_context *cx, tg_params *ps);

/* How the values start. Streams are keyed by the parameter's name, so adding one layer leaves the
 * start of all others as it was. */
typedef enum tg_initializer {
    TG_INIT_GLOROT,     /* U(-a, a), a = gain sqrt(6 / (fan_in + fan_out)); Glorot & Bengio 2010 */
    TG_INIT_ORTHOGONAL, /* rows or columns orthonormal, times gain; Saxe et al. 2014 */
    TG_INIT_UNIFORM,    /* U(-scale, scale) */
    TG_INIT_NORMAL,     /* N(0, scale^2) */
    TG_INIT_ZEROS,
    TG_INIT_ONES,
    TG_INIT_CONSTANT /* scale, which may be negative */
} tg_initializer;

typedef struct tg_init {
    tg_initializer kind;
    tg_real scale; /* gain (default 1), limit (0.1), standard deviation (0.1), or value (0); TG_ZERO: 0 */
} tg_init;

/* A parameter of one's own, for models written without layers. (rank, dim) as for tensors.
 *
 * A name is a path, "part/part/part", under which checkpoints keep the values. What could not be saved cannot be
 * declared, neither here nor by a layer: a name of more than 255 bytes or 30 parts, not in UTF-8, with a part that is empty, "." or
 * ".."; a name that is there (TG_ERR_EXISTS); 'a' beside 'a/b' (TG_ERR_EXISTS); more than 16384 names. */
typedef struct tg_parameter tg_parameter;
TG_API tg_parameter *tg_parameter_new(tg_params *ps, const char *name, int rank, const int dim[],
                                      tg_init init);
/* The parameter as a tensor whose gradient is the flat block's. Freezes the set. */
TG_API tg_tensor *tg_parameter_tensor(tg_parameter *p, tg_tape *t);

typedef struct tg_parameter_info {
    const char *name;
    int rank, dim[TG_MAX_RANK];
    size_t size; /* elements */
    bool frozen, no_decay;
    tg_real rate_scale;
} tg_parameter_info;

TG_API int tg_params_count(const tg_params *ps);   /* names, as the checkpoint has them */
TG_API size_t tg_params_size(const tg_params *ps); /* numbers to learn: frozen ones are not counted */
TG_API void tg_params_info(const tg_params *ps, int i, tg_parameter_info *info);

/* Values and gradients by name. TG_ERR_ABSENT: there is no such name; TG_ERR_SHAPE: n is not the parameter's size;
 * TG_ERR_NUMBER: a value to be set is not finite; TG_ERR_STATE: the set is shared, so that its values cannot be set, and it
 * has no gradients. */
TG_API tg_status tg_params_get(tg_params *ps, const char *name, tg_real *dst, size_t n) TG_MUST_CHECK;
TG_API tg_status tg_params_set(tg_params *ps, const char *name, const tg_real *src, size_t n) TG_MUST_CHECK;
TG_API tg_status tg_params_get_gradient(tg_params *ps, const char *name, tg_real *dst,
                                        size_t n) TG_MUST_CHECK;

typedef struct tg_parameter_flags {
    bool frozen;        /* true: never moved by an optimizer, and left out of norms */
    bool no_decay;      /* true: left out of weight decay */
    tg_real rate_scale; /* multiplies the learning rate; finite, not negative; 0: 1, TG_ZERO: 0 */
} tg_parameter_flags;

/* Sets the flags of every parameter whose name is `prefix` or begins with `prefix/`; "" is all. Flags
 * belong to whole declared blocks: a prefix that names a part of one (a single gate of a recurrent
 * layer) is TG_ERR_ARGUMENT, one that names nothing TG_ERR_ABSENT. */
TG_API tg_status tg_params_set_flags(tg_params *ps, const char *prefix,
                                     const tg_parameter_flags *flags) TG_MUST_CHECK;

TG_API void tg_params_zero_gradients(tg_params *ps);

/* Frozen parameters are left out of all three.
 *
 * Clipping by global norm (Pascanu et al. 2013): all gradients are multiplied by
 * min(1, max_norm / (norm + 1e-6)). Returns the norm before, which is computed in double, so that the norm of
 * gradients of type float is finite whenever they are. A norm that is not finite is returned, changes nothing, and makes
 * the optimizer's step refuse. */
TG_API double tg_params_clip_norm(tg_params *ps, tg_real max_norm);
TG_API void tg_params_clip_value(tg_params *ps, tg_real limit); /* each finite one into [-limit, limit] */
TG_API double tg_params_gradient_norm(tg_params *ps);

#ifdef __cplusplus
}
#endif
#endif
