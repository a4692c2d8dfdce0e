/* tidegate/core.h -- the context: errors, memory, log, threads, the seed.
 *
 * Everything hangs from one context. A context, and all that was made from it, is used by one
 * thread at a time; two contexts share nothing but parameters lent by tg_params_share().
 *
 * Errors. If a call returns a status, look at it; if it cannot, the context remembers.
 * Files, backward and the optimizer's step return a tg_status, leave a sentence in
 * tg_context_message(), and poison nothing. Everything that builds or computes returns an object:
 * on failure the context keeps the FIRST error, the call hands back a harmless object, and later
 * calls do nothing until tg_context_clear(). So a forward pass reads as mathematics and is checked
 * once, where its result is used.
 *
 * Messages, including those of the log, may hold text from outside, unescaped: names of files, and what a file
 * holds. Before a message goes to a terminal, pass it through tg_text_printable() (text.h).
 *
 * Misuse is an error like any other. A pointer that is NULL where its comment does not allow it, an object that could not
 * be made, and an object of another context, parameter set or tape are refused with a sentence, in the context if one can be
 * reached. Without a context a call returns TG_ERR_ARGUMENT, a harmless object, or 0. Whatever is freed may be NULL.
 *
 * The library never exits, and neither prints nor installs signal handlers unless it is asked to (see tg_training). */
#ifndef TIDEGATE_CORE_H
#define TIDEGATE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TG_VERSION "0.1.0"

#ifndef TG_DOUBLE
#define TG_DOUBLE 0 /* 1: the double library, libtidegate-double; its pkg-config file says so */
#endif
#if TG_DOUBLE
typedef double tg_real;
#else
typedef float tg_real;
#endif

/* In a config a zero means "the default". Where zero is a wish of its own, write TG_ZERO: every member of type tg_real that
 * may be 0 takes it.
 *
 * C writes a config in place: &(tg_rnn_config){ .layers = 2 }. C++ cannot take the address of a temporary object, and
 * names members of an initializer from C++20 on only. This compiles from C++11 on, without a warning:
 *
 *     tg_rnn_config config{}; // all members zero: the defaults
 *     config.layers = 2;
 *     tg_rnn *rnn = tg_rnn_new(ps, "rnn", 8, 64, &config);
 *
 * In the same way (int[]){ 2, 3 } becomes an array that has a name. */
#define TG_ZERO ((tg_real)-1e-30f)

#if defined(__GNUC__)
#define TG_MUST_CHECK            __attribute__((warn_unused_result))
#define TG_API                   __attribute__((visibility("default")))
#define TG_PRINTF(string, first) __attribute__((format(printf, string, first)))
#else
#define TG_MUST_CHECK
#define TG_API
#define TG_PRINTF(string, first)
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define TG_STATUS_LIST(X)                                                                                    \
    X(TG_OK, 0, "ok")                                                                                        \
    X(TG_ERR_MEMORY, -1, "out of memory")                                                                    \
    X(TG_ERR_ARGUMENT, -2, "an argument is out of range")                                                    \
    X(TG_ERR_SHAPE, -3, "shapes do not agree")                                                               \
    X(TG_ERR_STATE, -4, "the call does not fit the object's state")                                          \
    X(TG_ERR_NUMBER, -5, "a value is not finite")                                                            \
    X(TG_ERR_ABSENT, -6, "no such file, dataset or parameter")                                               \
    X(TG_ERR_EXISTS, -7, "it exists already, or is in use")                                                  \
    X(TG_ERR_IO, -8, "a file could not be read or written")                                                  \
    X(TG_ERR_FORMAT, -9, "a file does not hold what was expected")                                           \
    X(TG_ERR_DAMAGED, -10, "a file is damaged")                                                              \
    X(TG_ERR_DATA, -11, "the data cannot be used")                                                           \
    X(TG_ERR_INTERRUPTED, -12, "interrupted")                                                                \
    X(TG_ERR_VERSION, -13, "a file is of a newer format")

typedef enum tg_status {
#define X(name, value, text) name = value,
    TG_STATUS_LIST(X)
#undef X
} tg_status;

/* A fixed sentence for each status; never NULL. */
TG_API const char *tg_status_text(tg_status status);

typedef struct tg_context tg_context;

typedef enum tg_log_level { TG_LOG_INFO, TG_LOG_WARNING } tg_log_level;

typedef struct tg_context_config {
    uint64_t seed; /* of every random stream */
    /* Workers at most, not negative, and never more than the processors that this process may run on. 0: as many as
     * these, or as the quota of its control group allows, rounded up. */
    int threads;

    /* Both or none. NULL: the C library's, large blocks on large pages. A context calls both from one thread at a time,
     * sometimes a worker's. */
    void *(*allocate)(void *user, size_t bytes);
    void (*release)(void *user, void *block);
    void *allocator_user;

    void (*log)(void *user, tg_log_level level, const char *message); /* NULL: silence */
    void *log_user;

    /* OpenBLAS is set to one thread, process-wide, at the first product of matrices: tidegate
     * splits the work itself. true: leave OpenBLAS alone (its threads then compete with ours). */
    bool keep_blas_threads;

    /* Look at every op's outputs, and in backward at the gradients of its inputs and weights, and name the FIRST op that made
     * a NaN or an infinity, with its number: ops are counted from 0 since tg_tape_begin. Backward breaks off there, with
     * some gradients added and others not. Costs a pass over every tensor; also set by TIDEGATE_CHECK_FINITE=1. */
    bool check_finite;
} tg_context_config;

/* Never NULL: out of memory yields a context that is already in error. config may be NULL: all zeros.
 * TG_ERR_ARGUMENT, in the context: the header's tg_real is not the library's, or there is half an allocator. */
static inline tg_context *tg_context_new(const tg_context_config *config);
TG_API void tg_context_free(tg_context *cx); /* and everything made from it; NULL is fine */

TG_API bool tg_context_ok(const tg_context *cx);
TG_API tg_status tg_context_status(const tg_context *cx);    /* first failure since the last clear */
TG_API const char *tg_context_message(const tg_context *cx); /* the last sentence; never NULL */
TG_API void tg_context_clear(tg_context *cx);
TG_API int tg_context_threads(const tg_context *cx); /* workers it may use */
TG_API uint64_t tg_context_seed(const tg_context *cx);

/* For code that extends the library from outside: report a failure the way the library does.
 * _fail sticks in the context; _note leaves only the sentence. Both return status. */
TG_API tg_status tg_context_fail(tg_context *cx, tg_status status, const char *format, ...) TG_PRINTF(3, 4);
TG_API tg_status tg_context_note(tg_context *cx, tg_status status, const char *format, ...) TG_PRINTF(3, 4);

/* Memory that lives as long as the context: zeroed, 64-byte aligned. NULL: the context failed. */
TG_API void *tg_context_allocate(tg_context *cx, size_t bytes);

/* The training step that random streams are keyed by: dropout in step 17 is the same whatever happened before.
 * tg_optimizer_step() advances it, also when it refuses a step because of a number that is not finite. Setting it begins the
 * step anew, also if it is the same one (see tg_dropout). */
TG_API int64_t tg_context_step(const tg_context *cx);
TG_API void tg_context_set_step(tg_context *cx, int64_t step);

/* The element-th number of a random stream: uniform in [0, 1), a function of the seed, the
 * stream's name, step and element alone (Philox 4x32-10; Salmon et al. 2011). The library itself draws from these
 * streams; a stream of your own is independent of them if its name is another one:
 *
 *     stream                  step           what is drawn
 *     <parameter>             -1             its first values: "encoder/layer0/forward/W_xz", ...
 *     "dropout"               the context's  masks of tg_dropout(), which says what they depend on
 *     <recurrent layer>       the context's  masks of its dropout between layers: "encoder", ...
 *     "scheduled sampling"    the context's  element i: whether place i of target_in (T,B) becomes the decoder's own word
 *     "batches"               the epoch      a permutation of the pairs, see tg_batches_new()
 *     "batch order"           the epoch      a permutation of the batches
 */
TG_API double tg_random_uniform(const tg_context *cx, const char *stream, int64_t step, uint64_t element);
/* order[0..n-1]: a permutation of 0..n-1, a function of the seed, the stream and step alone. */
TG_API void tg_random_permutation(const tg_context *cx, const char *stream, int64_t step, int n, int *order);

/* The shortest decimal text that reads back to x: as a float where x is exactly one, otherwise as a double. So a
 * setting of 0.003 is 0.003 again, not 0.00300000003. With the decimal point of the locale in use. */
typedef struct tg_number_text {
    char s[32];
} tg_number_text;
TG_API tg_number_text tg_number(double x);

TG_API const char *tg_version(void);

TG_API tg_context *tg_context_new_for(const tg_context_config *config, size_t real_bytes);
static inline tg_context *tg_context_new(const tg_context_config *config)
{
    return tg_context_new_for(config, sizeof(tg_real));
}

#ifdef __cplusplus
}
#endif
#endif
