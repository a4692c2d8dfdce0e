/* core/context.h -- the members of the context, and arenas: memory with a common lifetime. */
#ifndef CORE_CONTEXT_H
#define CORE_CONTEXT_H

#include <assert.h>
#include <tidegate/tensor.h>

/* ---- arena: memory with one lifetime ----
 *
 * A bump allocator. A reset keeps the memory, as one block as large as the most that was ever used: so work
 * of the same or a smaller size allocates nothing. In a build with -Ddebug_arena=true each piece is a block
 * of its own that a reset frees, so that the address sanitizer notices a stale pointer. */
typedef struct arena_block arena_block;
typedef struct arena {
    tg_context *cx;
    arena_block *first, *current;
    size_t used; /* bytes of the current block */
    size_t live; /* bytes since the last reset */
    size_t peak; /* the most that live ever was */
} arena;

void tg__arena_init(arena *a, tg_context *cx);
void *tg__arena_take(arena *a, size_t bytes);   /* 64-byte aligned, NOT zeroed; NULL: the context failed */
void *tg__arena_zeroed(arena *a, size_t bytes); /* the same, zeroed */
char *tg__arena_text(arena *a, const char *s);  /* a copy */
bool tg__arena_holds(const arena *a, const void *p); /* true if p points into the arena */
void tg__arena_reset(arena *a);
void tg__arena_free(arena *a);

/* A place in an arena. Rewinding to it frees what was taken after it; the memory is kept for reuse. */
typedef struct arena_mark {
    arena_block *current;
    size_t used, live;
} arena_mark;
arena_mark tg__arena_mark(const arena *a);
void tg__arena_rewind(arena *a, arena_mark m);

/* n * size; (size_t)-1 if that overflows, which no allocator can give. */
static inline size_t tg__bytes(size_t n, size_t size)
{
    size_t bytes;
    return __builtin_mul_overflow(n, size, &bytes) ? (size_t)-1 : bytes;
}

/* ---- the context ---- */
struct team;

enum { WARNED_NO_LOCKS = 1, WARNED_NO_LINKS = 2, WARNED_NOT_KEPT = 4 };

struct tg_context {
    tg_context_config config;
    tg_status status;
    char message[512]; /* fixed: reporting never allocates */
    int64_t step;
    uint32_t passes; /* backward passes of this step so far: each has dropout masks of its own */
    int threads;
    unsigned warned;      /* WARNED_...: each warning is logged once a context */
    struct team *team;    /* created at first use */
    arena own;            /* everything that lives as long as the context */
    arena matmul_scratch; /* of tg__matmul alone: its packed operands */
    struct cleanup *cleanups;

    struct tg_tape *tapes; /* all of them */
    void *nil_tape;        /* the result of tg_tape_new() while the context is in error; made at first use */
    tg_real nil_value;     /* NaN: the value of nil */
    tg_tensor nil;         /* the result of an op that failed */
};

/* The result of tg_context_new() without memory: always in error, owns nothing. */
extern tg_context tg__context_nil;

/* A context of one thread with the settings of cx, for one worker of cx. It uses the allocator of cx, which
 * is called by one worker at a time. To be freed before cx. Out of memory: the new context is in error. */
tg_context *tg__context_of_worker(tg_context *cx);

/* Calls function(object) when the context is freed, the last registered first. False: out of memory, and the
 * context is in error: the caller must not give the object to anybody, and frees what it owns. */
bool tg__context_on_free(tg_context *cx, void (*function)(void *), void *object);

void tg__context_log(const tg_context *cx, tg_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Memory from the context's allocator, which the caller releases. NULL: out of memory; the context has a
 * message but is not in error. */
void *tg__allocate(tg_context *cx, size_t bytes); /* zeroed, 64-byte aligned */
void tg__release(tg_context *cx, void *block);    /* NULL is fine */

#endif
