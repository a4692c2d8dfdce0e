/* train/history.c -- the validation losses of a run, for its checkpoints. */
#include <math.h>
#include <string.h>

#include "train/driver.h"

enum { MOST = 1024 }; /* kept; metrics.csv has them all */

static tg_status make_room(tg_context *cx, validation_history *h, int capacity)
{
    tg__history_free(cx, h);
    h->step = tg__allocate(cx, (size_t)capacity * sizeof *h->step);
    h->loss = tg__allocate(cx, (size_t)capacity * sizeof *h->loss);
    if (h->step && h->loss) return TG_OK;
    tg__history_free(cx, h);
    return TG_ERR_MEMORY;
}

/* Leaves half as many, or fewer: of equal distances over the whole run, and the last. */
static void thin(validation_history *h)
{
    const double distance = ((double)h->step[h->n - 1] - (double)h->step[0]) / (MOST / 2);
    int n = 1;
    for (int i = 1; i < h->n; i++) {
        const bool near = (double)h->step[i] - (double)h->step[n - 1] < fmax(distance, 1);
        if (near && i + 1 < h->n) continue;
        h->step[n] = h->step[i];
        h->loss[n++] = h->loss[i];
    }
    h->n = n;
}

tg_status tg__history_add(tg_context *cx, validation_history *h, int64_t step, double loss)
{
    const tg_status s = h->step ? TG_OK : make_room(cx, h, MOST);
    if (s) return s;
    if (h->n >= MOST) thin(h);
    h->step[h->n] = step;
    h->loss[h->n++] = loss;
    return TG_OK;
}

void tg__history_free(tg_context *cx, validation_history *h)
{
    tg__release(cx, h->step);
    tg__release(cx, h->loss);
    *h = (validation_history){ 0 };
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
    tg_status s = make_room(cx, h, n > MOST ? n : MOST);
    if (s || !n) return s;
    s = tg_archive_get_array(a, "run/validation/step", TG_INT64, 1, &n, h->step);
    if (!s) s = tg_archive_get_array(a, "run/validation/loss", TG_FLOAT64, 1, &n, h->loss);
    if (!s) h->n = n;
    return s;
}
