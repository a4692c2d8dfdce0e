/* params/params.c -- declaring, freezing, reaching parameters by name. */
#include "params/params.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/check.h"
#include "params/initialize.h"
#include "tensor/archive.h"

enum {
    PAD = 16,                        /* elements: blocks start on a cache line, also in double */
    PARTS_BEFORE = 2,                /* of a name in a checkpoint: "optimizer/<moment>/<name>" */
    MOST_NAMES = ARCHIVE_ENTRIES / 4 /* a checkpoint has values and moments of each, and more */
};

static tg_params nil_params = { .cx = &tg__context_nil, .memory = { .cx = &tg__context_nil } };

static void params_release(void *object)
{
    tg_params *ps = object;
    tg__arena_free(&ps->memory);
}

tg_params *tg__params_or_nil(tg_params *ps) { return ps ? ps : &nil_params; }

tg_params *tg_params_new(tg_context *cx)
{
    if (!cx) return &nil_params;
    tg_params *ps = tg__arena_zeroed(&cx->own, sizeof *ps);
    if (!ps || !tg__context_on_free(cx, params_release, ps)) return &nil_params;
    ps->cx = cx;
    tg__arena_init(&ps->memory, cx);
    return ps;
}

void tg_params_free(tg_params *ps)
{
    if (!ps || ps == &nil_params) return;
    tg_context *cx = ps->cx;
    tg__arena_free(&ps->memory);
    *ps = (tg_params){ .cx = cx };
    tg__arena_init(&ps->memory, cx);
}

tg_params *tg_params_share(tg_context *cx, tg_params *ps)
{
    if (!cx || cx->status || !GIVEN(cx, ARG(ps))) return &nil_params;
    if (!tg__params_freeze(ps)) {
        tg_context_fail(cx, TG_ERR_STATE, "tg_params_share: the set to be shared is in error: %s",
                        tg_context_message(ps->cx));
        return &nil_params;
    }
    tg_params *shared = tg_params_new(cx);
    if (shared != &nil_params) shared->source = ps;
    return shared;
}

static const char *joined(tg_params *ps, const char *layer, const char *name)
{
    char text[256];
    const int n = layer && *layer ? snprintf(text, sizeof text, "%s/%s", layer, name)
                                  : snprintf(text, sizeof text, "%s", name);
    if (n >= (int)sizeof text) {
        tg_context_fail(ps->cx, TG_ERR_ARGUMENT, "the parameter name %.60s... has %d bytes, at most 255 fit",
                        text, n);
        return NULL;
    }
    const char *why = tg__archive_bad_path(text, PARTS_BEFORE);
    if (why) {
        tg_context_fail(ps->cx, TG_ERR_ARGUMENT, "the parameter name '%s' cannot be saved: %s", text, why);
        return NULL;
    }
    return tg__arena_text(&ps->memory, text);
}

/* Can a parameter of that name stand in the set, and in a checkpoint, beside those that are there? */
static bool has_place(const tg_params *ps, const char *name)
{
    if (ps->views >= MOST_NAMES) {
        tg_context_fail(ps->cx, TG_ERR_ARGUMENT,
                        "the parameter '%s' would be name %d of the set, at most %d can be saved", name,
                        ps->views + 1, MOST_NAMES);
        return false;
    }
    for (int i = 0; i < ps->views; i++) {
        const char *there = ps->view[i].name;
        if (!tg__archive_clash(name, there)) continue;
        if (!strcmp(name, there))
            tg_context_fail(ps->cx, TG_ERR_EXISTS, "there is a parameter '%s' already", name);
        else
            tg_context_fail(
                ps->cx, TG_ERR_EXISTS,
                "the parameters '%s' and '%s' cannot be saved: one name is where the other one lies", there,
                name);
        return false;
    }
    return true;
}

static bool grow_views(tg_params *ps, int more)
{
    if (ps->views + more <= ps->capacity) return true;
    const int capacity = 2 * (ps->views + more);
    param_view *view = tg__arena_zeroed(&ps->memory, (size_t)capacity * sizeof *view);
    if (!view) return false;
    if (ps->views) memcpy(view, ps->view, (size_t)ps->views * sizeof *view);
    ps->view = view;
    ps->capacity = capacity;
    return true;
}

params_mark tg__params_mark(const tg_params *ps) { return (params_mark){ ps->last, ps->views, ps->flat }; }

bool tg__params_complete(tg_params *ps, params_mark mark)
{
    if (!ps->cx->status) return true;
    if (ps->last == mark.last && ps->views == mark.views) return false;
    ps->views = mark.views;
    ps->flat = mark.flat;
    ps->last = mark.last;
    if (mark.last)
        mark.last->next = NULL;
    else
        ps->first = NULL;
    return false;
}

static tg_tensor *declare(tg_params *ps, const char *layer, int rank, const int dim[], int n,
                          const param_view_spec view[])
{
    tg_context *cx = ps->cx;
    if (cx->status) return NULL;
    if (ps->placed) {
        tg_context_fail(cx, TG_ERR_STATE,
                        "%s: the parameter set is frozen (it was used): declare everything first",
                        layer ? layer : view[0].name);
        return NULL;
    }
    param_block *block = tg__arena_zeroed(&ps->memory, sizeof *block);
    if (!block || !grow_views(ps, n)) return NULL;
    *block = (param_block){ .x = { .rank = rank, .cx = cx }, .flags = { .rate_scale = 1 } };
    size_t size = 1;
    for (int i = 0; i < rank; i++) {
        block->x.dim[i] = dim[i];
        if (dim[i] < 1 || __builtin_mul_overflow(size, (size_t)dim[i], &size) || size > (size_t)1 << 40) {
            tg_context_fail(cx, TG_ERR_ARGUMENT, "%s/%s: dimension %d of %d is %d", layer ? layer : "",
                            view[0].name, i, rank, dim[i]);
            return NULL;
        }
    }
    for (int i = 0; i < n; i++) {
        const char *name = joined(ps, layer, view[i].name);
        if (!name || !has_place(ps, name) || !tg__initializer_holds(cx, name, view[i].init)) return NULL;
        param_view *v = &ps->view[ps->views];
        *v = (param_view){ block, name, rank, { 0 }, view[i].column, view[i].width, view[i].init };
        memcpy(v->dim, block->x.dim, sizeof v->dim);
        if (rank) v->dim[rank - 1] = view[i].width;
        if (ps->source) { /* a shared set: the same name and shape must be there */
            const param_view *there = tg__params_find(ps->source, name);
            if (!there || there->rank != v->rank || memcmp(there->dim, v->dim, sizeof v->dim) ||
                there->column != v->column) {
                tg_context_fail(cx, there ? TG_ERR_SHAPE : TG_ERR_ABSENT,
                                "the shared set has no parameter '%s'%s", name,
                                there ? " of this shape" : "");
                return NULL;
            }
            block->offset = there->block->offset;
        }
        ps->views++;
    }
    if (!ps->source) {
        block->offset = ps->flat;
        ps->flat += (size + PAD - 1) / PAD * PAD;
    }
    if (ps->last)
        ps->last->next = block;
    else
        ps->first = block;
    ps->last = block;
    return &block->x;
}

tg_tensor *tg__params_declare(tg_params *ps, const char *layer, int rank, const int dim[], int n,
                              const param_view_spec view[])
{
    const params_mark before = tg__params_mark(ps);
    tg_tensor *x = declare(ps, layer, rank, dim, n, view);
    return tg__params_complete(ps, before) ? x : NULL;
}

bool tg__params_place(tg_params *ps)
{
    if (ps->cx->status) return false;
    if (ps->placed) return true;
    if (ps->source) {
        ps->flat = ps->source->flat;
        ps->value = ps->source->value;
    } else {
        ps->value = tg__arena_zeroed(&ps->memory, tg__bytes(ps->flat, sizeof(tg_real)));
        ps->gradient = tg__arena_zeroed(&ps->memory, tg__bytes(ps->flat, sizeof(tg_real)));
        if (!ps->value || !ps->gradient) return false;
    }
    for (param_block *b = ps->first; b; b = b->next) {
        b->x.data = ps->value + b->offset;
        b->x.grad = ps->gradient ? ps->gradient + b->offset : NULL;
    }
    return ps->placed = true;
}

bool tg__params_freeze(tg_params *ps)
{
    if (!tg__params_place(ps)) return false;
    if (ps->frozen) return true;
    for (int i = 0; i < ps->views && !ps->source; i++)
        if (!tg__initialize(ps, &ps->view[i])) return false;
    return ps->frozen = true;
}

param_view *tg__params_find(const tg_params *ps, const char *name)
{
    for (int i = 0; i < ps->views; i++)
        if (!strcmp(ps->view[i].name, name)) return &ps->view[i];
    return NULL;
}

static size_t view_size(const param_view *v)
{
    size_t n = 1;
    for (int i = 0; i < v->rank; i++) n *= (size_t)v->dim[i];
    return n;
}

void tg__params_gather(const param_view *v, const tg_real *flat, tg_real *dst)
{
    const tg_real *src = flat + v->block->offset + v->column;
    const size_t rows = tg__rows(&v->block->x), stride = (size_t)tg__columns(&v->block->x),
                 width = (size_t)v->width;
    for (size_t i = 0; i < rows; i++) memcpy(dst + i * width, src + i * stride, width * sizeof *dst);
}

void tg__params_scatter(const param_view *v, tg_real *flat, const tg_real *src)
{
    tg_real *dst = flat + v->block->offset + v->column;
    const size_t rows = tg__rows(&v->block->x), stride = (size_t)tg__columns(&v->block->x),
                 width = (size_t)v->width;
    for (size_t i = 0; i < rows; i++) memcpy(dst + i * stride, src + i * width, width * sizeof *dst);
}

int tg_params_count(const tg_params *ps) { return ps ? ps->views : 0; }

size_t tg_params_size(const tg_params *ps)
{
    size_t n = 0;
    for (int i = 0; ps && i < ps->views; i++)
        if (!ps->view[i].block->flags.frozen) n += view_size(&ps->view[i]);
    return n;
}

void tg_params_info(const tg_params *ps, int i, tg_parameter_info *info)
{
    if (!info) {
        if (ps) GIVEN(ps->cx, ARG(info));
        return;
    }
    *info = (tg_parameter_info){ .name = "" };
    if (!ps || i < 0 || i >= ps->views) return;
    const param_view *v = &ps->view[i];
    const tg_parameter_flags *f = &v->block->flags;
    *info = (tg_parameter_info){ .name = v->name,
                                 .rank = v->rank,
                                 .size = view_size(v),
                                 .frozen = f->frozen,
                                 .no_decay = f->no_decay,
                                 .rate_scale = f->rate_scale };
    memcpy(info->dim, v->dim, sizeof info->dim);
}

/* The view of that name, once the set is frozen and n is its size. */
static tg_status reach(tg_params *ps, const char *who, const char *name, const void *numbers, size_t n,
                       param_view **v)
{
    if (!ps) return TG_ERR_ARGUMENT;
    if (ps->cx->status) return ps->cx->status;
    if (!name || !numbers)
        return tg_context_note(ps->cx, TG_ERR_ARGUMENT, "%s: %s is NULL", who, name ? "the array" : "name");
    if (!tg__params_freeze(ps)) return ps->cx->status;
    *v = tg__params_find(ps, name);
    if (!*v) return tg_context_note(ps->cx, TG_ERR_ABSENT, "%s: there is no parameter '%s'", who, name);
    if (n != view_size(*v))
        return tg_context_note(ps->cx, TG_ERR_SHAPE, "%s: '%s' has %zu numbers, not %zu", who, name,
                               view_size(*v), n);
    return TG_OK;
}

tg_status tg_params_get(tg_params *ps, const char *name, tg_real *dst, size_t n)
{
    param_view *v = NULL;
    const tg_status s = reach(ps, "tg_params_get", name, dst, n, &v);
    if (!s) tg__params_gather(v, ps->value, dst);
    return s;
}

tg_status tg_params_set(tg_params *ps, const char *name, const tg_real *src, size_t n)
{
    param_view *v = NULL;
    const tg_status s = reach(ps, "tg_params_set", name, src, n, &v);
    if (s) return s;
    if (ps->source)
        return tg_context_note(ps->cx, TG_ERR_STATE,
                               "tg_params_set: the values of '%s' are shared, and read only", name);
    const size_t bad = tg__first_nonfinite(src, n);
    if (bad < n)
        return tg_context_note(ps->cx, TG_ERR_NUMBER, "tg_params_set: '%s': element %zu is %g", name, bad,
                               (double)src[bad]);
    tg__params_scatter(v, ps->value, src);
    return TG_OK;
}

tg_status tg_params_get_gradient(tg_params *ps, const char *name, tg_real *dst, size_t n)
{
    param_view *v = NULL;
    const tg_status s = reach(ps, "tg_params_get_gradient", name, dst, n, &v);
    if (s) return s;
    if (!ps->gradient)
        return tg_context_note(ps->cx, TG_ERR_STATE,
                               "tg_params_get_gradient: '%s' is shared, and has no gradient", name);
    tg__params_gather(v, ps->gradient, dst);
    return TG_OK;
}

static bool has_prefix(const char *name, const char *prefix)
{
    const size_t n = strlen(prefix);
    return !n || (!strncmp(name, prefix, n) && (!name[n] || name[n] == '/'));
}

tg_status tg_params_set_flags(tg_params *ps, const char *prefix, const tg_parameter_flags *flags)
{
    if (!ps) return TG_ERR_ARGUMENT;
    if (ps->cx->status) return ps->cx->status;
    const tg_status missing = MISSING(ps->cx, ARG(prefix), ARG(flags));
    if (missing) return missing;
    tg_parameter_flags settled = *flags;
    if (settled.rate_scale == 0)
        settled.rate_scale = 1;
    else if (settled.rate_scale == TG_ZERO)
        settled.rate_scale = 0;
    if (!(settled.rate_scale >= 0 && isfinite(settled.rate_scale)))
        return tg_context_note(ps->cx, TG_ERR_ARGUMENT,
                               "tg_params_set_flags: rate_scale is %g, must be finite and not negative",
                               (double)settled.rate_scale);
    int found = 0;
    for (int i = 0; i < ps->views; i++) found += has_prefix(ps->view[i].name, prefix);
    if (!found)
        return tg_context_note(ps->cx, TG_ERR_ABSENT, "tg_params_set_flags: no parameter is '%s' or below it",
                               prefix);
    for (int i = 0; i < ps->views; i++) /* a block is flagged as a whole or not at all */
        for (int k = 0; k < ps->views; k++)
            if (ps->view[i].block == ps->view[k].block && has_prefix(ps->view[i].name, prefix) &&
                !has_prefix(ps->view[k].name, prefix))
                return tg_context_note(ps->cx, TG_ERR_ARGUMENT,
                                       "tg_params_set_flags: '%s' and '%s' are one block: flag both or none",
                                       ps->view[i].name, ps->view[k].name);
    for (int i = 0; i < ps->views; i++)
        if (has_prefix(ps->view[i].name, prefix)) ps->view[i].block->flags = settled;
    return TG_OK;
}

void tg_params_zero_gradients(tg_params *ps)
{
    if (ps && ps->gradient) memset(ps->gradient, 0, ps->flat * sizeof *ps->gradient);
}

bool tg__params_ready(tg_params *ps, tg_tape *t, const char *who, const char *what, const char *name)
{
    const char *before = name ? " '" : "", *after = name ? "'" : "";
    if (!tg__tape_ready(t, who)) return false;
    if (!name) name = "";
    if (!ps)
        tg_context_fail(t->cx, TG_ERR_STATE,
                        "%s: this %s could not be made (its context was in error then), or is NULL", who,
                        what);
    else if (ps->cx != t->cx)
        tg_context_fail(t->cx, TG_ERR_STATE,
                        "%s: %s%s%s%s and tape belong to different contexts: see tg_params_share", who, what,
                        before, name, after);
    else if (tg__params_freeze(ps) && ps->source && t->mode == TG_TRAIN)
        tg_context_fail(
            t->cx, TG_ERR_STATE,
            "%s: the parameters of %s%s%s%s are shared, and read only: begin the tape with TG_EVAL", who,
            what, before, name, after);
    return t->cx->status == TG_OK;
}

/* ---- a parameter of one's own ---- */

struct tg_parameter {
    tg_params *ps;
    tg_tensor *x;
};

tg_parameter *tg_parameter_new(tg_params *ps, const char *name, int rank, const int dim[], tg_init init)
{
    static tg_parameter nil = { 0 };
    ps = tg__params_or_nil(ps);
    if (ps->cx->status || !NAMED(ps->cx, name)) return &nil;
    if (rank < 0 || rank > TG_MAX_RANK) {
        tg_context_fail(ps->cx, TG_ERR_ARGUMENT, "tg_parameter_new: '%s': rank %d is outside 0..%d", name,
                        rank, TG_MAX_RANK);
        return &nil;
    }
    if (rank && !GIVEN(ps->cx, ARG(dim))) return &nil;
    const int columns = rank ? dim[rank - 1] : 1;
    const params_mark before = tg__params_mark(ps);
    tg_tensor *x = tg__params_declare(ps, NULL, rank, dim, 1, &(param_view_spec){ name, 0, columns, init });
    tg_parameter *p = tg__arena_zeroed(&ps->memory, sizeof *p);
    if (!tg__params_complete(ps, before)) return &nil;
    *p = (tg_parameter){ ps, x };
    return p;
}

tg_tensor *tg_parameter_tensor(tg_parameter *p, tg_tape *t)
{
    return tg__params_ready(p ? p->ps : NULL, t, "tg_parameter_tensor", "parameter", NULL) ? p->x
                                                                                           : tg__tape_nil(t);
}
