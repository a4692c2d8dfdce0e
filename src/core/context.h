/* core/context.h -- inside of the context, and the arena that every lifetime is made of. */
#ifndef CORE_CONTEXT_H
#define CORE_CONTEXT_H

#include <assert.h>
#include <tidegate/tensor.h>

/* ---- arena: memory with one lifetime ----
 *
 * A bump allocator whose memory is kept on reset, as one block of the most that was ever needed: so
 * work of any shape seen before allocates nothing. In a build with -Ddebug_arena=true every piece is a block of its own, released on reset,
 * so that the address sanitizer sees a stale pointer. */
typedef struct arena_block arena_block;
typedef struct arena {
    tg_context *cx;
    arena_block *first, *current;
    size_t used; /* bytes of the current block */
    size_t live; /* bytes since the last reset */
    size_t peak; /* most of them ever */
} arena;

void tg__arena_init(arena *a, tg_context *cx);
void *tg__arena_take(arena *a, size_t bytes);   /* 64-byte aligned, NOT zeroed; NULL: the context failed */
void *tg__arena_zeroed(arena *a, size_t bytes); /* the same, zeroed */
char *tg__arena_text(arena *a, const char *s);  /* a copy */
bool tg__arena_holds(const arena *a, const void *p); /* is it a piece of the arena? */
void tg__arena_reset(arena *a);
void tg__arena_free(arena *a);

/* A place in an arena, to which it is rewound: what was taken after the mark is given up, its memory is kept. */
typedef struct arena_mark {
    arena_block *current;
    size_t used, live;
} arena_mark;
arena_mark tg__arena_mark(const arena *a);
void tg__arena_rewind(arena *a, arena_mark m);

/* n * size, or (size_t)-1 if that overflows: which no allocator grants. */
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
    unsigned warned;   /* WARNED_...: what the log was told already, once a context */
    struct team *team; /* created at first use */
    arena own;         /* everything that lives as long as the context */
    arena packed;      /* what a matrix product packs, while it runs */
    struct cleanup *cleanups;

    struct tg_tape *tapes; /* all of them */
    void *nil_tape;        /* what tg_tape_new() gives while the context is in error, made at need */
    tg_real nil_value;     /* NaN: what a harmless object of this context holds */
    tg_tensor nil;
};

/* The context that could not be made: always in error, owns nothing. */
extern tg_context tg__context_nil;

/* A context of one thread with the settings of cx, for a worker of cx to use while others use theirs. Its memory comes from
 * cx's allocator, which is called by one of them at a time. To be freed before cx. In error: out of memory. */
tg_context *tg__context_of_worker(tg_context *cx);

/* Calls function(object) when the context is freed, last registered first. False: there was no memory to remember it,
 * and the context is in error: the object must hold nothing then, and not be handed out. */
bool tg__context_on_free(tg_context *cx, void (*function)(void *), void *object);

void tg__context_log(const tg_context *cx, tg_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Memory that its owner gives back, from the context's allocator. NULL: the message says so; the
 * context is not poisoned. */
void *tg__allocate(tg_context *cx, size_t bytes); /* zeroed, 64-byte aligned */
void tg__release(tg_context *cx, void *block);    /* NULL is fine */

#endif
