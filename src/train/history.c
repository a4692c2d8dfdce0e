/* train/history.c -- the validation losses of a run, for its checkpoints. */
#include <string.h>

#include "train/driver.h"

static tg_status grow(tg_context *cx, validation_history *h, int capacity)
{
    int64_t *step = tg__allocate(cx, (size_t)capacity * sizeof *step);
    double *loss = tg__allocate(cx, (size_t)capacity * sizeof *loss);
    if (!step || !loss) {
        tg__release(cx, step);
        tg__release(cx, loss);
        return TG_ERR_MEMORY;
    }
    if (h->n) memcpy(step, h->step, (size_t)h->n * sizeof *step);
    if (h->n) memcpy(loss, h->loss, (size_t)h->n * sizeof *loss);
    tg__history_free(cx, h);
    h->step = step;
    h->loss = loss;
    h->capacity = capacity;
    return TG_OK;
}

tg_status tg__history_add(tg_context *cx, validation_history *h, int64_t step, double loss)
{
    const tg_status s = h->n < h->capacity ? TG_OK : grow(cx, h, h->n ? 2 * h->n : 64);
    if (s) return s;
    h->step[h->n] = step;
    h->loss[h->n++] = loss;
    return TG_OK;
}

void tg__history_free(tg_context *cx, validation_history *h)
{
    tg__release(cx, h->step);
    tg__release(cx, h->loss);
    h->step = NULL;
    h->loss = NULL;
}

void tg__history_put(const validation_history *h, tg_archive *a)
{
    if (!h->n) return;
    tg_archive_put_array(a, "run/validation/step", TG_INT64, 1, &h->n, h->step);
    tg_archive_put_array(a, "run/validation/loss", TG_FLOAT64, 1, &h->n, h->loss);
}

tg_status tg__history_get(tg_context *cx, validation_history *h, const tg_archive *a)
{
    int n = 0;
    for (int i = 0; i < tg_archive_count(a); i++) {
        tg_entry e;
        tg_archive_entry(a, i, &e);
        if (!strcmp(e.path, "run/validation/step") && e.rank == 1) n = e.dim[0];
    }
    h->n = 0;
    if (!n) return TG_OK;
    tg_status s = grow(cx, h, n);
    if (!s) s = tg_archive_get_array(a, "run/validation/step", TG_INT64, 1, &n, h->step);
    if (!s) s = tg_archive_get_array(a, "run/validation/loss", TG_FLOAT64, 1, &n, h->loss);
    if (!s) h->n = n;
    return s;
}
