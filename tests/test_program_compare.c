/* tests/test_program_compare.c -- compare_checkpoints A B: are two checkpoints equal, bit by bit, in all
 * but where they were made (run/..., and the options that say only how to watch)?               */
#include <stdio.h>
#include <string.h>

#include <tidegate/tidegate.h>

static const char *const not_compared[] = { "run/", "options/threads", "options/quiet", "options/epochs",
                                            "options/steps" };

static bool compared(const char *path)
{
    for (size_t i = 0; i < sizeof not_compared / sizeof *not_compared; i++)
        if (strncmp(path, not_compared[i], strlen(not_compared[i])) == 0) return false;
    return true;
}

static size_t bytes_of(const tg_entry *e)
{
    static const size_t size[] = {
        [TG_INT64] = 8, [TG_FLOAT64] = 8, [TG_FLOAT32] = 4, [TG_INT32] = 4, [TG_BYTES] = 1
    };
    size_t n = size[e->type];
    for (int i = 0; i < e->rank; i++) n *= (size_t)e->dim[i];
    return n;
}

static bool same_texts(const tg_entry *x, const tg_entry *y)
{
    const char *const *a = x->data, *const *b = y->data;
    for (int i = 0; i < x->dim[0]; i++)
        if (strcmp(a[i], b[i]) != 0) return false;
    return true;
}

static bool same(const tg_entry *x, const tg_entry *y)
{
    if (x->type != y->type || x->array != y->array || x->rank != y->rank) return false;
    if (memcmp(x->dim, y->dim, (size_t)x->rank * sizeof *x->dim) != 0) return false;
    if (x->type == TG_TEXT && x->array) return same_texts(x, y);
    if (x->type == TG_TEXT) return strcmp(x->data, y->data) == 0;
    return memcmp(x->data, y->data, bytes_of(x)) == 0;
}

/* Says what stands in a and is not the same in b; returns how many. compared_entries: added to. */
static int compare(const tg_archive *a, const tg_archive *b, int *compared_entries)
{
    int wrong = 0;
    tg_entry x, y;
    for (int i = 0; i < tg_archive_count(a); i++) {
        bool found = false;
        tg_archive_entry(a, i, &x);
        if (!compared(x.path)) continue;
        ++*compared_entries;
        for (int k = 0; k < tg_archive_count(b) && !found; k++) {
            tg_archive_entry(b, k, &y);
            found = strcmp(x.path, y.path) == 0 && same(&x, &y);
        }
        if (!found) printf("%s differs\n", x.path), wrong++;
    }
    return wrong;
}

int main(int argc, char *argv[])
{
    if (argc != 3) return fprintf(stderr, "usage: compare_checkpoints A B\n"), 2;
    tg_context *cx = tg_context_new(NULL);
    tg_archive *a = NULL, *b = NULL;
    int n = 0, wrong = 1;
    if (tg_checkpoint_read(cx, argv[1], &a) || tg_checkpoint_read(cx, argv[2], &b))
        fprintf(stderr, "%s\n", tg_context_message(cx));
    else
        wrong = compare(a, b, &n) + compare(b, a, &n);
    if (!wrong && n < 60) wrong = printf("%d entries only: are these checkpoints of a run?\n", n);
    tg_archive_free(a);
    tg_archive_free(b);
    tg_context_free(cx);
    return wrong ? 1 : 0;
}
