/* core/check.h -- what every public function checks of its arguments, in the same words everywhere.
 *
 * Handles. NULL in place of a context, parameter set, tape, ... is taken for the harmless object that the maker of such
 * objects returns when it fails (tg__context_nil, ...): its context is in error for ever, so the call does nothing. A
 * function that returns a status says TG_ERR_ARGUMENT.
 *
 * Everything else that must be there. A function that builds or computes fails its context:
 *
 *     if (!GIVEN(cx, ARG(ids), ARG(lengths))) return nil;          "tg_embedding_run: ids is NULL"
 *
 * One that returns a status leaves the same sentence, and returns it:
 *
 *     if ((s = MISSING(cx, ARG(path), ARG(config)))) return s;
 */
#ifndef CORE_CHECK_H
#define CORE_CHECK_H

#include "core/context.h"

typedef struct named_argument {
    const char *name; /* as the public header has it */
    const void *value;
} named_argument;

/* tg_context_fail or tg_context_note. */
typedef tg_status context_report(tg_context *cx, tg_status status, const char *format, ...);

/* Reports the first argument that is NULL, of a list that ends with one without a name. cx may be NULL. */
tg_status tg__missing(tg_context *cx, context_report *report, const char *who, const named_argument list[]);
static inline bool tg__given(tg_context *cx, const char *who, const named_argument list[])
{
    return !tg__missing(cx, tg_context_fail, who, list);
}
/* A name that is NULL or empty. */
tg_status tg__unnamed(tg_context *cx, context_report *report, const char *who, const char *what,
                      const char *name);

#define ARG(x)                                                                                               \
    {                                                                                                        \
#x, (x)                                                                                              \
    }
#define ARGUMENTS(...)   ((const named_argument[]){ __VA_ARGS__, { NULL, NULL } })
#define GIVEN(cx, ...)   tg__given(cx, __func__, ARGUMENTS(__VA_ARGS__))
#define MISSING(cx, ...) tg__missing(cx, tg_context_note, __func__, ARGUMENTS(__VA_ARGS__))
#define NAMED(cx, x)     (!tg__unnamed(cx, tg_context_fail, __func__, #x, x))
#define UNNAMED(cx, x)   tg__unnamed(cx, tg_context_note, __func__, #x, x)

#endif
