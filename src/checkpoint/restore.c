/* checkpoint/restore.c -- looks at everything first, and only then changes anything. */
#include <string.h>

#include "checkpoint/layout.h"
#include "core/check.h"
#include "hdf5/sealed.h"
#include "optim/optimizer.h"
#include "tensor/archive.h"

typedef struct restore {
    tg_context *cx;
    const tg_archive *a;
    const char *file; /* for messages */
    const tg_checkpoint *c;

    tg_progress progress; /* as the file has them, until all is known to fit */
    tg_schedule schedule;
    int64_t steps, random_step;
    tg_real lr;
} restore;

/* ---- looking ---- */

/* The value at `path`, if it is one of that type. */
static tg_status get_value(const restore *r, const char *path, tg_type type, const void **value)
{
    const tg_entry *e = tg__archive_find(r->a, path);
    if (!e) return tg_context_note(r->cx, TG_ERR_FORMAT, "%s: there is no '%s' in it", r->file, path);
    *value = e->data;
    if (e->type == type && !e->array) return TG_OK;
    return tg_context_note(r->cx, TG_ERR_FORMAT, "%s: '%s' is %s, not %s", r->file, path,
                           tg__archive_describe(e->type, e->array, e->rank, e->dim).s,
                           tg__archive_describe(type, false, 0, NULL).s);
}

static tg_status get_field(const restore *r, const field *f, void *object)
{
    const bool is_number = tg__field_is_number(f);
    const void *value = NULL;
    if (f->optional && !tg_archive_has(r->a, f->path)) return TG_OK; /* r is zeroed */
    tg_status s = get_value(r, f->path, is_number ? TG_FLOAT64 : TG_INT64, &value);
    void *at = (char *)object + f->offset;
    if (s) return s;
    const int64_t integer = is_number ? 0 : *(const int64_t *)value;
    const double number = is_number ? *(const double *)value : 0;
    if ((s = tg__field_check(r->cx, r->file, f, integer, number))) return s;
    switch (f->kind) {
    case FIELD_INT64: *(int64_t *)at = integer; break;
    case FIELD_INT: *(int *)at = (int)integer; break;
    case FIELD_BOOL: *(bool *)at = integer; break;
    case FIELD_DOUBLE: *(double *)at = number; break;
    case FIELD_REAL: *(tg_real *)at = (tg_real)number; break;
    }
    return TG_OK;
}

/* Is there a dataset of this library's numbers and this shape? */
static tg_status check_array(const restore *r, const char *path, int rank, const int dim[])
{
    const tg_entry *e = tg__archive_find(r->a, path);
    const archive_text wanted = tg__archive_describe(CHECKPOINT_REAL, true, rank, dim);
    if (!e)
        return tg_context_note(r->cx, TG_ERR_FORMAT, "%s: there is no dataset '%s'; %s is needed", r->file,
                               path, wanted.s);
    const bool typed = e->array && e->type == CHECKPOINT_REAL;
    bool same = typed && e->rank == rank;
    for (int i = 0; same && i < rank; i++) same = e->dim[i] == dim[i];
    if (same) return TG_OK;
    return tg_context_note(r->cx, typed ? TG_ERR_SHAPE : TG_ERR_FORMAT,
                           "%s: dataset '%s' is %s; %s is needed", r->file, path,
                           tg__archive_describe(e->type, e->array, e->rank, e->dim).s, wanted.s);
}

/* Every parameter has its dataset below `group`, and every dataset there its parameter. */
static tg_status check_views(const restore *r, const tg_params *ps, const char *group)
{
    const size_t n = strlen(group);
    for (int i = 0; i < ps->views; i++) {
        const param_view *v = &ps->view[i];
        const tg_status s = check_array(r, tg__path("%s/%s", group, v->name).s, v->rank, v->dim);
        if (s) return s;
    }
    for (int i = 0; i < tg_archive_count(r->a); i++) {
        tg_entry e;
        tg_archive_entry(r->a, i, &e);
        if (strncmp(e.path, group, n) || e.path[n] != '/' || tg__params_find(ps, e.path + n + 1)) continue;
        return tg_context_note(r->cx, TG_ERR_FORMAT, "%s: dataset '%s', %s, has no place in this model",
                               r->file, e.path, tg__archive_describe(e.type, e.array, e.rank, e.dim).s);
    }
    return TG_OK;
}

/* Every dataset in a group of `optimizer` is one of o's moments: another kind, or other settings, keep others. */
static tg_status check_moments(const restore *r, const tg_optimizer *o)
{
    static const char group[] = "optimizer/";
    for (int i = 0; i < tg_archive_count(r->a); i++) {
        tg_entry e;
        tg_archive_entry(r->a, i, &e);
        if (strncmp(e.path, group, sizeof group - 1)) continue;
        const char *name = e.path + sizeof group - 1, *end = strchr(name, '/');
        bool known = !end;
        for (int k = 0; !known && k < tg__optimizer_moments(o); k++) {
            const char *moment = tg__optimizer_moment_name(o, k);
            known = strlen(moment) == (size_t)(end - name) && !strncmp(name, moment, (size_t)(end - name));
        }
        if (!known)
            return tg_context_note(
                r->cx, TG_ERR_FORMAT,
                "%s: dataset '%s' has no place in this optimizer ('%s'): it was trained with other settings",
                r->file, e.path, tg_optimizer_name(o));
    }
    return TG_OK;
}

/* The numbers of the dataset at `path`, which is there: finite, and, as second moments are, not negative. */
static tg_status check_numbers(const restore *r, const char *path, bool second_moments)
{
    const tg_entry *e = tg__archive_find(r->a, path);
    const tg_real *x = e->data;
    size_t n = 1, bad;
    for (int i = 0; i < e->rank; i++) n *= (size_t)e->dim[i];
    bad = r->c->allow_nonfinite ? n : tg__first_nonfinite(x, n);
    for (size_t i = 0; second_moments && i < n && bad == n; i++)
        if (x[i] < 0) bad = i;
    if (bad == n) return TG_OK;
    return tg_context_note(r->cx, TG_ERR_NUMBER, "%s: dataset '%s': element %zu is %g", r->file, path, bad,
                           (double)x[bad]);
}

static tg_status check_numbers_of_views(const restore *r, const tg_params *ps, const char *group,
                                        bool second_moments)
{
    tg_status s = TG_OK;
    for (int i = 0; !s && i < ps->views; i++)
        s = check_numbers(r, tg__path("%s/%s", group, ps->view[i].name).s, second_moments);
    return s;
}

static tg_status check_precision(const restore *r)
{
    const char *precision = tg__archive_find(r->a, "precision")->data;
    if (!strcmp(precision, CHECKPOINT_PRECISION)) return TG_OK;
    return tg_context_note(
        r->cx, TG_ERR_FORMAT,
        "%s: holds %.40s numbers, and this is the library of %s: load it with the other one "
        "(libtidegate is float32, libtidegate-double float64)",
        r->file, precision, CHECKPOINT_PRECISION);
}

static tg_status check_root(const restore *r)
{
    const tg_status s = tg__checkpoint_check_root(r->cx, r->a);
    return s ? s : check_precision(r);
}

tg_status tg__checkpoint_check_parameters(tg_context *cx, const tg_archive *a, const tg_params *ps)
{
    const restore r = { .cx = cx, .a = a, .file = a->source ? a->source : "archive" };
    const tg_status s = check_root(&r);
    return s ? s : check_views(&r, ps, "parameters");
}

static tg_status check_params(const restore *r)
{
    const tg_params *ps = r->c->params;
    if (ps->source)
        return tg_context_note(r->cx, TG_ERR_STATE,
                               "%s: not loaded: these parameters are shared, and read only", r->file);
    const tg_status s = check_views(r, ps, "parameters");
    return s ? s : check_numbers_of_views(r, ps, "parameters", false);
}

static tg_status check_optimizer(restore *r)
{
    const field steps = { "optimizer/steps", FIELD_INT64, offsetof(restore, steps), AS_COUNTED },
                lr = { "optimizer/lr", FIELD_REAL, offsetof(restore, lr), AS_COUNTED };
    tg_optimizer *o = r->c->optimizer;
    const tg_params *ps = tg__optimizer_params(o);
    const void *kind;
    tg_status s = get_value(r, "optimizer/kind", TG_TEXT, &kind);
    if (s) return s;
    if (strcmp(kind, tg_optimizer_name(o)))
        return tg_context_note(r->cx, TG_ERR_FORMAT,
                               "%s: was trained with the optimizer '%.40s'; this one is '%s'", r->file,
                               (const char *)kind, tg_optimizer_name(o));
    if ((s = get_field(r, &steps, r)) || (s = get_field(r, &lr, r))) return s;
    for (int k = 0; !s && k < tg__optimizer_moments(o); k++) {
        const char *name = tg__optimizer_moment_name(o, k);
        const path_text group = tg__path("optimizer/%s", name);
        s = check_views(r, ps, group.s);
        if (!s) s = check_numbers_of_views(r, ps, group.s, !strcmp(name, "v"));
    }
    return s ? s : check_moments(r, o);
}

static tg_status check_states(const restore *r)
{
    const int n = tg__checkpoint_states(r->c);
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < STATE_TENSORS; k++) {
            const named_state state = tg__checkpoint_state(r->c, i, k);
            const path_text path = tg__path("training/states/%d/%s", i, state.name);
            if (!state.x && tg_archive_has(r->a, path.s))
                return tg_context_note(r->cx, TG_ERR_FORMAT, "%s: state %d has %s, which was not asked for",
                                       r->file, i, state.name);
            if (!state.x) continue;
            tg_status s = check_array(r, path.s, state.x->rank, state.x->dim);
            if (!s) s = check_numbers(r, path.s, false);
            if (s) return s;
        }
    }
    if (tg_archive_has(r->a, tg__path("training/states/%d/h", n).s))
        return tg_context_note(r->cx, TG_ERR_FORMAT, "%s: holds more than the %d states asked for", r->file,
                               n);
    return TG_OK;
}

static tg_status check_schedule(restore *r)
{
    const void *kind;
    tg_status s = get_value(r, "training/schedule/kind", TG_TEXT, &kind);
    if (!s && !tg_schedule_kind_named(kind, &r->schedule.kind))
        s = tg_context_note(r->cx, TG_ERR_FORMAT,
                            "%s: 'training/schedule/kind' is '%.40s', which is no schedule", r->file,
                            (const char *)kind);
    for (const field *f = tg__schedule_field; !s && f->path; f++) s = get_field(r, f, &r->schedule);
    return s;
}

/* A run goes on with the numbers it would have drawn: they hang on the seed. */
static tg_status check_progress(restore *r)
{
    const void *value;
    tg_status s = get_value(r, "training/seed", TG_INT64, &value);
    if (s) return s;
    const uint64_t seed = (uint64_t) * (const int64_t *)value;
    if (seed != tg_context_seed(r->cx))
        return tg_context_note(
            r->cx, TG_ERR_STATE,
            "%s: its run has the seed %llu, this context has %llu: make the context with the run's seed",
            r->file, (unsigned long long)seed, (unsigned long long)tg_context_seed(r->cx));
    for (const field *f = tg__progress_field; !s && f->path; f++) s = get_field(r, f, &r->progress);
    return s;
}

static tg_status check_all(restore *r)
{
    const tg_checkpoint *c = r->c;
    tg_status s = check_root(r);
    if (!s && c->params) s = check_params(r);
    if (!s && c->optimizer) s = check_optimizer(r);
    if (!s && c->states) s = check_states(r);
    if (!s && c->schedule) s = check_schedule(r);
    if (!s && c->progress) s = check_progress(r);
    if (!s && (c->progress || c->optimizer)) {
        const field step = { "training/random_step", FIELD_INT64, offsetof(restore, random_step), ANY_SIGN };
        s = get_field(r, &step, r);
    }
    return s;
}

/* ---- changing: none of this can fail ---- */

static void set_views(const restore *r, const tg_params *ps, const char *group, tg_real *flat)
{
    for (int i = 0; i < ps->views; i++)
        tg__params_scatter(&ps->view[i], flat,
                           tg__archive_find(r->a, tg__path("%s/%s", group, ps->view[i].name).s)->data);
}

static void set_all(const restore *r)
{
    const tg_checkpoint *c = r->c;
    tg_optimizer *o = c->optimizer;
    if (c->params) {
        set_views(r, c->params, "parameters", c->params->value);
        c->params->frozen = true;
    }
    for (int k = 0; o && k < tg__optimizer_moments(o); k++)
        set_views(r, tg__optimizer_params(o), tg__path("optimizer/%s", tg__optimizer_moment_name(o, k)).s,
                  tg__optimizer_moment(o, k));
    if (o) tg__optimizer_restore(o, r->steps, (double)r->lr);
    for (int i = 0; i < tg__checkpoint_states(c); i++)
        for (int k = 0; k < STATE_TENSORS; k++) {
            const named_state state = tg__checkpoint_state(c, i, k);
            if (state.x)
                memcpy(state.x->data,
                       tg__archive_find(r->a, tg__path("training/states/%d/%s", i, state.name).s)->data,
                       tg__size(state.x) * sizeof *state.x->data);
        }
    if (c->schedule) *c->schedule = r->schedule;
    if (c->progress) *c->progress = r->progress;
    if (c->progress || o) tg_context_set_step(r->cx, r->random_step);
}

tg_status tg_checkpoint_restore(const tg_archive *a, const tg_checkpoint *c)
{
    tg_status s = tg__checkpoint_check(c, "tg_checkpoint_restore");
    if (s) return s;
    restore r = { .cx = tg__checkpoint_context(c), .a = a, .c = c };
    if ((s = MISSING(r.cx, ARG(a)))) return s;
    r.file = a->source ? a->source : "archive";
    s = check_all(&r);
    if (!s && c->params && !tg__params_place(c->params)) s = r.cx->status;
    if (!s) set_all(&r);
    return s;
}

/* ---- files ---- */

tg_status tg_checkpoint_read(tg_context *cx, const char *path, tg_archive **a)
{
    if (a) *a = NULL;
    if (!cx) return TG_ERR_ARGUMENT;
    if (cx->status) return cx->status;
    tg_status s = MISSING(cx, ARG(a));
    if (s || (s = UNNAMED(cx, path))) return s;
    s = tg__sealed_load(cx, path, a);
    if (!s && (s = tg__checkpoint_check_root(cx, *a))) {
        tg_archive_free(*a);
        *a = NULL;
    }
    return s;
}

tg_status tg_checkpoint_load(const char *path, const tg_checkpoint *c)
{
    tg_archive *a;
    tg_status s = tg__checkpoint_check(c, "tg_checkpoint_load");
    if (!s) s = tg_checkpoint_read(tg__checkpoint_context(c), path, &a);
    if (s) return s;
    s = tg_checkpoint_restore(a, c);
    tg_archive_free(a);
    return s;
}

tg_status tg_checkpoint_verify(tg_context *cx, const char *path)
{
    tg_archive *a;
    const tg_status s = tg_checkpoint_read(cx, path, &a);
    if (!s) tg_archive_free(a);
    return s;
}

tg_status tg_checkpoint_seal(tg_context *cx, const char *path)
{
    if (!cx) return TG_ERR_ARGUMENT;
    if (cx->status) return cx->status;
    const tg_status s = UNNAMED(cx, path);
    if (s) return s;
    return tg__sealed_renew(cx, path, tg__checkpoint_check_root);
}
