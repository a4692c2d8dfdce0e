/* checkpoint/save.c -- gathers what a checkpoint holds, and seals it into a file. */
#include <string.h>

#include <tidegate/blas.h>

#include "checkpoint/layout.h"
#include "core/check.h"
#include "hdf5/sealed.h"
#include "optim/optimizer.h"
#include "tensor/archive.h"

/* An archive keeps the first failure of a put itself: tg_archive_status() is asked once, at the end. */

/* The fields of an object, up to a NULL path. */
static tg_status put_fields(tg_archive *a, const char *file, const field *f, const void *object)
{
    tg_status s = TG_OK;
    for (; !s && f->path; f++) {
        const void *at = (const char *)object + f->offset;
        const double number = f->kind == FIELD_DOUBLE ? *(const double *)at
                              : f->kind == FIELD_REAL ? (double)*(const tg_real *)at
                                                      : 0;
        const int64_t integer = f->kind == FIELD_INT64  ? *(const int64_t *)at
                                : f->kind == FIELD_INT  ? *(const int *)at
                                : f->kind == FIELD_BOOL ? *(const bool *)at
                                                        : 0;
        if (f->optional && !integer && number == 0) continue;
        s = tg__field_check(a->cx, file, f, integer, number);
        if (tg__field_is_number(f))
            tg_archive_put_number(a, f->path, number);
        else
            tg_archive_put_integer(a, f->path, integer);
    }
    return s;
}

static void put_root(tg_archive *a, const tg_checkpoint *c)
{
    tg_archive_put_text(a, "format", CHECKPOINT_FORMAT);
    tg_archive_put_integer(a, "format_version", CHECKPOINT_VERSION);
    tg_archive_put_text(a, "library_version", tg_version());
    tg_archive_put_text(a, "precision", CHECKPOINT_PRECISION);
    tg_archive_put_text(a, "task", c->task ? c->task : "custom");
    tg_archive_put_text(a, "run/openblas_version", tg_blas_version());
    tg_archive_put_text(a, "run/openblas_core", tg_blas_core());
    tg_archive_put_text(a, "run/simd_variant", tg_simd_variant());
}

/* The views of a flat block, one dataset each, below `group`. */
static void put_views(tg_archive *a, const tg_params *ps, const char *group, const tg_real *flat)
{
    for (int i = 0; i < ps->views; i++) {
        tg_parameter_info info;
        tg_params_info(ps, i, &info);
        tg_real *data = tg__archive_reserve(a, tg__path("%s/%s", group, info.name).s, CHECKPOINT_REAL, true,
                                            info.rank, info.dim, info.size * sizeof *data);
        if (!data) return;
        tg__params_gather(&ps->view[i], flat, data);
    }
}

/* "<path>: not saved", with what is not finite. */
static tg_status not_finite(tg_context *cx, const char *path, const char *what, const char *name,
                            tg_real value, size_t at, size_t n)
{
    return tg_context_note(cx, TG_ERR_NUMBER, "%.200s: not saved: %s '%s' is %g at element %zu of %zu", path,
                           what, name, (double)value, at, n);
}

/* The first element of a flat block, by names in order, that is not finite. */
static tg_status check_finite(tg_context *cx, const tg_params *ps, const tg_real *flat, const char *path,
                              const char *what)
{
    for (int i = 0; i < ps->views; i++) {
        const param_view *v = &ps->view[i];
        const tg_real *x = flat + v->block->offset + v->column;
        const size_t width = (size_t)v->width, stride = (size_t)tg__columns(&v->block->x);
        for (size_t k = 0, rows = tg__rows(&v->block->x); k < rows; k++) {
            const size_t j = tg__first_nonfinite(x + k * stride, width);
            if (j < width)
                return not_finite(cx, path, what, v->name, x[k * stride + j], k * width + j, rows * width);
        }
    }
    return TG_OK;
}

/* What a load would refuse is not saved. */
static tg_status check_all_finite(tg_context *cx, const tg_checkpoint *c, const char *path)
{
    tg_optimizer *o = c->optimizer;
    tg_status s = c->params ? check_finite(cx, c->params, c->params->value, path, "parameter") : TG_OK;
    for (int k = 0; !s && o && k < tg__optimizer_moments(o); k++)
        s = check_finite(cx, tg__optimizer_params(o), tg__optimizer_moment(o, k), path,
                         tg__path("the optimizer's %s of", tg__optimizer_moment_name(o, k)).s);
    for (int i = 0; !s && i < tg__checkpoint_states(c); i++)
        for (int k = 0; !s && k < STATE_TENSORS; k++) {
            const named_state state = tg__checkpoint_state(c, i, k);
            const size_t n = state.x ? tg__size(state.x) : 0,
                         bad = n ? tg__first_nonfinite(state.x->data, n) : 0;
            if (bad < n)
                s = not_finite(cx, path, "state", tg__path("%d/%s", i, state.name).s, state.x->data[bad], bad,
                               n);
        }
    return s;
}

static void put_optimizer(tg_archive *a, tg_optimizer *o)
{
    tg_archive_put_text(a, "optimizer/kind", tg_optimizer_name(o));
    tg_archive_put_integer(a, "optimizer/steps", tg_optimizer_steps(o));
    tg_archive_put_number(a, "optimizer/lr", (double)tg_optimizer_rate(o));
    for (int k = 0; k < tg__optimizer_settings(o); k++) {
        const char *name = tg__optimizer_setting_name(o, k);
        if (!strcmp(name, "lr")) continue;
        tg_archive_put_number(a, tg__path("optimizer/%s", name).s, tg__optimizer_setting(o, k));
    }
    for (int k = 0; k < tg__optimizer_moments(o); k++)
        put_views(a, tg__optimizer_params(o), tg__path("optimizer/%s", tg__optimizer_moment_name(o, k)).s,
                  tg__optimizer_moment(o, k));
}

static tg_status put_training(tg_archive *a, tg_context *cx, const tg_checkpoint *c, const char *file)
{
    tg_status s = TG_OK;
    tg_archive_put_integer(a, "training/seed", (int64_t)tg_context_seed(cx));
    tg_archive_put_integer(a, "training/random_step", tg_context_step(cx));
    if (c->progress) s = put_fields(a, file, tg__progress_field, c->progress);
    if (!s && c->schedule) {
        tg_archive_put_text(a, "training/schedule/kind", tg_schedule_name(c->schedule->kind));
        s = put_fields(a, file, tg__schedule_field, c->schedule);
    }
    for (int i = 0; i < tg__checkpoint_states(c); i++)
        for (int k = 0; k < STATE_TENSORS; k++) {
            const named_state state = tg__checkpoint_state(c, i, k);
            if (state.x)
                tg_archive_put_array(a, tg__path("training/states/%d/%s", i, state.name).s, CHECKPOINT_REAL,
                                     state.x->rank, state.x->dim, state.x->data);
        }
    return s;
}

static bool is_below(const char *path, const char *group)
{
    const size_t n = strlen(group);
    return !strncmp(path, group, n) && path[n] == '/';
}

/* What the caller adds may stand anywhere but where a load expects nothing else. */
static tg_status put_also(tg_archive *a, tg_context *cx, const tg_archive *also)
{
    if (!also) return TG_OK;
    if (tg_archive_status(also)) return tg_archive_status(also);
    for (int i = 0; i < tg_archive_count(also); i++) {
        tg_entry e;
        tg_archive_entry(also, i, &e);
        if (is_below(e.path, "parameters") || is_below(e.path, "optimizer") ||
            is_below(e.path, "training/states"))
            return tg_context_note(
                cx, TG_ERR_ARGUMENT,
                "tg_checkpoint_save: '%.200s' cannot be added: /parameters, /optimizer and "
                "/training/states are not the caller's",
                e.path);
        if (e.array && e.type == TG_TEXT)
            tg_archive_put_texts(a, e.path, e.dim[0], e.data);
        else if (e.array)
            tg_archive_put_array(a, e.path, e.type, e.rank, e.dim, e.data);
        else if (e.type == TG_TEXT)
            tg_archive_put_text(a, e.path, e.data);
        else if (e.type == TG_INT64)
            tg_archive_put_integer(a, e.path, *(const int64_t *)e.data);
        else
            tg_archive_put_number(a, e.path, *(const double *)e.data);
    }
    return TG_OK;
}

tg_status tg__checkpoint_gather(const char *path, const tg_checkpoint *c, tg_archive **to)
{
    *to = NULL;
    tg_status s = tg__checkpoint_check(c, "tg_checkpoint_save");
    if (s) return s;
    tg_context *cx = tg__checkpoint_context(c);
    if (c->params && !tg__params_freeze(c->params)) return cx->status;
    if ((s = UNNAMED(cx, path))) return s;
    if (!c->allow_nonfinite && (s = check_all_finite(cx, c, path))) return s;
    tg_archive *a = tg_archive_new(cx);
    if (!a) return TG_ERR_MEMORY;
    put_root(a, c);
    if (c->params) put_views(a, c->params, "parameters", c->params->value);
    if (c->optimizer) put_optimizer(a, c->optimizer);
    s = put_training(a, cx, c, path);
    if (!s) s = put_also(a, cx, c->also);
    if (!s) s = tg_archive_status(a);
    if (s)
        tg_archive_free(a);
    else
        *to = a;
    return s;
}

tg_status tg_checkpoint_save(const char *path, const tg_checkpoint *c)
{
    tg_archive *a;
    tg_status s = tg__checkpoint_gather(path, c, &a);
    if (!s) s = tg__sealed_save(tg__checkpoint_context(c), a, path, c->keep_previous);
    tg_archive_free(a);
    return s;
}
