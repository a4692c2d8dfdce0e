/* core/context.c -- the context: sticky errors, messages, the allocator. */
#include "core/context.h"

#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/check.h"
#include "core/cores.h"
#include "core/team.h"

/* Asks for huge pages for large blocks, if the system has them: a product that reads a matrix column by
 * column touches a new page at each step, and with small pages each would be a TLB miss. */
static void *standard_allocate(void *user, size_t bytes)
{
    enum { LARGE_PAGE = 2 << 20 };
    (void)user;
    if (bytes < 2 * LARGE_PAGE || bytes > SIZE_MAX - LARGE_PAGE) return malloc(bytes);
    const size_t whole = (bytes + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    void *block = aligned_alloc(LARGE_PAGE, whole);
#ifdef MADV_HUGEPAGE
    if (block) madvise(block, whole, MADV_HUGEPAGE); /* it does not matter if this fails */
#endif
    return block;
}

static void standard_release(void *user, void *block)
{
    (void)user;
    free(block);
}

tg_context tg__context_nil = {
    .status = TG_ERR_MEMORY,
    .message = "tg_context_new: out of memory",
    .threads = 1,
    .own = { .cx = &tg__context_nil },
    .matmul_scratch = { .cx = &tg__context_nil },
    .nil = { .data = &tg__context_nil.nil_value, .cx = &tg__context_nil },
};

struct cleanup {
    struct cleanup *next;
    void (*function)(void *);
    void *object;
};

bool tg__context_on_free(tg_context *cx, void (*function)(void *), void *object)
{
    struct cleanup *c = tg__arena_take(&cx->own, sizeof *c);
    if (!c) return false;
    *c = (struct cleanup){ cx->cleanups, function, object };
    cx->cleanups = c;
    return true;
}

/* As many threads as the config says, or as are worth starting; never more than there are processors. */
static int threads_of(const tg_context_config *c)
{
    const int override = tg__team_cores_override;
    if (c->threads <= 0) return override > 0 ? override : tg__cores_worth_using();
    const int most = override > 0 ? override : tg__cores_allowed();
    return c->threads < most ? c->threads : most;
}

tg_context *tg_context_new_for(const tg_context_config *config, size_t real_bytes)
{
    tg_context_config c = config ? *config : (tg_context_config){ 0 };
    const bool half_an_allocator = !c.allocate != !c.release;
    if (!c.allocate || !c.release) c.allocate = standard_allocate, c.release = standard_release;
    tg_context *cx = c.allocate(c.allocator_user, sizeof *cx);
    if (!cx) return &tg__context_nil;
    memset(cx, 0, sizeof *cx);
    cx->config = c;
    cx->nil_value = (tg_real)NAN;
    cx->nil = (tg_tensor){ .rank = 0, .data = &cx->nil_value, .cx = cx };
    tg__arena_init(&cx->own, cx);
    tg__arena_init(&cx->matmul_scratch, cx);

    cx->threads = threads_of(&c);
    const char *check = getenv("TIDEGATE_CHECK_FINITE");
    if (check && !strcmp(check, "1")) cx->config.check_finite = true;

    if (half_an_allocator)
        tg_context_fail(cx, TG_ERR_ARGUMENT,
                        "tg_context_new: %s is NULL: allocate and release go together, both or none",
                        config->allocate ? "release" : "allocate");
    if (real_bytes != sizeof(tg_real))
        tg_context_fail(
            cx, TG_ERR_ARGUMENT,
            "tg_context_new: the program was compiled for numbers of %zu bytes, this library's have "
            "%zu: take libtidegate for float, libtidegate-double with TG_DOUBLE=1",
            real_bytes, sizeof(tg_real));
    if (c.threads < 0)
        tg_context_fail(cx, TG_ERR_ARGUMENT, "tg_context_new: threads is %d, must not be negative",
                        c.threads);
    return cx;
}

/* ---- for workers ---- */

static pthread_mutex_t allocator = PTHREAD_MUTEX_INITIALIZER;

static void *allocate_in_turn(void *user, size_t bytes)
{
    const tg_context *cx = user;
    pthread_mutex_lock(&allocator);
    void *block = cx->config.allocate(cx->config.allocator_user, bytes);
    pthread_mutex_unlock(&allocator);
    return block;
}

static void release_in_turn(void *user, void *block)
{
    const tg_context *cx = user;
    pthread_mutex_lock(&allocator);
    cx->config.release(cx->config.allocator_user, block);
    pthread_mutex_unlock(&allocator);
}

tg_context *tg__context_of_worker(tg_context *cx)
{
    tg_context_config c = cx->config;
    c.threads = 1;
    c.log = NULL; /* it may be called on the caller's thread only */
    if (c.allocate != standard_allocate)
        c.allocate = allocate_in_turn, c.release = release_in_turn, c.allocator_user = cx;
    return tg_context_new_for(&c, sizeof(tg_real));
}

void tg_context_free(tg_context *cx)
{
    if (!cx || cx == &tg__context_nil) return;
    for (struct cleanup *c = cx->cleanups; c; c = c->next) c->function(c->object);
    tg__team_free(cx->team);
    tg__arena_free(&cx->matmul_scratch);
    tg__arena_free(&cx->own);
    tg__release(cx, cx->nil_tape);
    cx->config.release(cx->config.allocator_user, cx);
}

bool tg_context_ok(const tg_context *cx) { return cx && cx->status == TG_OK; }
tg_status tg_context_status(const tg_context *cx) { return cx ? cx->status : TG_ERR_ARGUMENT; }
const char *tg_context_message(const tg_context *cx) { return cx ? cx->message : "the context is NULL"; }
int tg_context_threads(const tg_context *cx) { return cx ? cx->threads : 1; }
uint64_t tg_context_seed(const tg_context *cx) { return cx ? cx->config.seed : 0; }
int64_t tg_context_step(const tg_context *cx) { return cx ? cx->step : 0; }
const char *tg_version(void) { return TG_VERSION; }

void tg_context_set_step(tg_context *cx, int64_t step)
{
    if (cx && cx != &tg__context_nil) cx->step = step, cx->passes = 0;
}

void tg_context_clear(tg_context *cx)
{
    if (!cx || cx == &tg__context_nil) return;
    cx->status = TG_OK;
    cx->message[0] = 0;
}

const char *tg_status_text(tg_status status)
{
    switch (status) {
#define X(name, value, text)                                                                                 \
    case name: return text;
        TG_STATUS_LIST(X)
#undef X
    }
    return "unknown status";
}

tg_status tg_context_fail(tg_context *cx, tg_status status, const char *format, ...)
{
    if (!cx) return status;
    if (cx->status) return cx->status; /* the first error explains those that follow */
    if (!format) format = tg_status_text(status);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(cx->message, sizeof cx->message, format, arguments);
    va_end(arguments);
    return cx->status = status;
}

tg_status tg_context_note(tg_context *cx, tg_status status, const char *format, ...)
{
    if (!cx || cx->status) return status; /* a note does not replace an error */
    if (!format) format = tg_status_text(status);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(cx->message, sizeof cx->message, format, arguments);
    va_end(arguments);
    return status;
}

tg_status tg__missing(tg_context *cx, context_report *report, const char *who, const named_argument list[])
{
    for (; list->name; list++)
        if (!list->value) {
            report(cx, TG_ERR_ARGUMENT, "%s: %s is NULL", who, list->name);
            return TG_ERR_ARGUMENT;
        }
    return TG_OK;
}

tg_status tg__unnamed(tg_context *cx, context_report *report, const char *who, const char *what,
                      const char *name)
{
    if (name && *name) return TG_OK;
    report(cx, TG_ERR_ARGUMENT, "%s: %s is %s", who, what, name ? "empty" : "NULL");
    return TG_ERR_ARGUMENT;
}

void tg__context_log(const tg_context *cx, tg_log_level level, const char *format, ...)
{
    if (!cx->config.log) return;
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    cx->config.log(cx->config.log_user, level, message);
}

void *tg_context_allocate(tg_context *cx, size_t bytes)
{
    return cx ? tg__arena_zeroed(&cx->own, bytes) : NULL;
}

/* The allocator need not align more than malloc() does. Its own pointer is kept just before the aligned
 * block. */
void *tg__allocate(tg_context *cx, size_t bytes)
{
    enum { ALIGN = 64 };
    size_t whole;
    char *block = NULL;
    if (cx != &tg__context_nil && !__builtin_add_overflow(bytes, (size_t)(ALIGN + sizeof(void *)), &whole))
        block = cx->config.allocate(cx->config.allocator_user, whole);
    if (!block) {
        tg_context_note(cx, TG_ERR_MEMORY, "out of memory: %zu bytes", bytes);
        return NULL;
    }
    char *at = (char *)(((uintptr_t)block + sizeof(void *) + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1));
    memcpy(at - sizeof(void *), &block, sizeof(void *));
    return memset(at, 0, bytes);
}

void tg__release(tg_context *cx, void *block)
{
    if (!block) return;
    void *whole;
    memcpy(&whole, (char *)block - sizeof(void *), sizeof(void *));
    cx->config.release(cx->config.allocator_user, whole);
}
