/* tools/tidegate/inspect.c -- tidegate inspect: what a checkpoint holds, for people to read. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "program.h"

static const command inspect_command = {
    "inspect",
    "MODEL",
    "Shows what a checkpoint holds: the model's configuration, the shape and norm of every\n"
    "parameter, where training stands, data, vocabularies. MODEL is a checkpoint, or a\n"
    "directory with one (best.h5, else last.h5).",
    NULL,
    1,
    1,
    "  tidegate inspect run\n"
    "  tidegate inspect run/last.h5 | less\n",
};

enum { NAME_WIDTH = 40, SHAPE_WIDTH = 14, SOME_TEXTS = 12 };

typedef struct totals {
    int arrays;
    long long elements;
} totals;

static long long elements_of(const tg_entry *e)
{
    long long n = 1;
    for (int i = 0; i < e->rank; i++) n *= e->dim[i];
    return n;
}

static double element(const tg_entry *e, long long i)
{
    switch (e->type) {
    case TG_FLOAT32: return (double)((const float *)e->data)[i];
    case TG_FLOAT64: return ((const double *)e->data)[i];
    case TG_INT32: return ((const int32_t *)e->data)[i];
    case TG_INT64: return (double)((const int64_t *)e->data)[i];
    case TG_BYTES: return ((const unsigned char *)e->data)[i];
    case TG_TEXT: break;
    }
    return 0;
}

static void print_shape(const tg_entry *e)
{
    char text[64] = "one number";
    int n = 0;
    for (int i = 0; i < e->rank; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%s%d", i ? " x " : "", e->dim[i]);
    printf("%-*s", SHAPE_WIDTH, text);
}

static void print_array(const tg_entry *e)
{
    const long long n = elements_of(e);
    double squares = 0, smallest = INFINITY, largest = -INFINITY;
    print_shape(e);
    for (long long i = 0; i < n; i++) {
        const double x = element(e, i);
        squares += x * x;
        smallest = fmin(smallest, x);
        largest = fmax(largest, x);
    }
    if (n) printf("  norm %-10.5g from %.4g to %.4g", sqrt(squares), smallest, largest);
}

static void print_texts(const tg_entry *e)
{
    const char *const *text = e->data;
    printf("%d:", e->dim[0]);
    for (int i = 0; i < e->dim[0] && i < SOME_TEXTS; i++) {
        putchar(' ');
        put_printable(text[i]);
    }
    if (e->dim[0] > SOME_TEXTS) printf(" ...");
}

/* As it was typed, if that is short; otherwise nine digits. */
static void print_number(double x)
{
    char nine[32];
    const tg_number_text shortest = tg_number(x);
    snprintf(nine, sizeof nine, "%.9g", x);
    printf("%s", strlen(shortest.s) < strlen(nine) ? shortest.s : nine);
}

static void print_value(const tg_entry *e)
{
    switch (e->type) {
    case TG_INT64: printf("%lld", (long long)*(const int64_t *)e->data); break;
    case TG_FLOAT64: print_number(*(const double *)e->data); break;
    case TG_TEXT: put_printable(e->data); break;
    default: break;
    }
}

/* An optimizer's moments are many and tell little: counted, not shown. */
static bool shown(const tg_entry *e) { return !e->array || strncmp(e->path, "optimizer/", 10) != 0; }

static void print_entry(const tg_entry *e, const char *name)
{
    printf("  ");
    const int width = put_printable(name);
    printf("%*s ", width < NAME_WIDTH ? NAME_WIDTH - width : 0, "");
    if (!e->array)
        print_value(e);
    else if (e->type == TG_TEXT)
        print_texts(e);
    else
        print_array(e);
    printf("\n");
}

static void print_heading(const char *group, size_t bytes)
{
    char *name = strndup(group, bytes);
    printf("\n");
    if (name) put_printable(name);
    printf("\n");
    free(name);
}

static void print_totals(const totals *t)
{
    if (t->arrays) printf("  %lld numbers in %d arrays\n", t->elements, t->arrays);
}

/* The entries of a file are in order: first those of no group, then one top-level group after the other. */
static void print_archive(const tg_archive *a, const char *path)
{
    const char *group = "";
    size_t bytes = 0;
    totals t = { 0 };
    put_printable(path);
    printf("\n");
    for (int i = 0; i < tg_archive_count(a); i++) {
        tg_entry e;
        tg_archive_entry(a, i, &e);
        const size_t n = strchr(e.path, '/') ? strcspn(e.path, "/") : 0;
        if (n != bytes || strncmp(e.path, group, n) != 0) {
            print_totals(&t);
            t = (totals){ 0 };
            group = e.path;
            bytes = n;
            if (bytes) print_heading(group, bytes);
        }
        if (e.array && e.type != TG_TEXT) t.arrays++, t.elements += elements_of(&e);
        if (shown(&e)) print_entry(&e, bytes ? e.path + bytes + 1 : e.path);
    }
    print_totals(&t);
}

int command_inspect(int argc, char *argv[])
{
    char path[4096];
    const char *model[2];
    const parsed p = options_parse(&inspect_command, argc, argv, NULL, model);
    if (p != PARSED) return options_exit(p);

    tg_context *cx = new_context(0, 1);
    tg_archive *a = NULL;
    int result = EXIT_FAILED;
    if (!tg_context_ok(cx)) {
        fail_context(cx);
    } else if (model_path(model[0], path, sizeof path)) {
        result = tg_checkpoint_read(cx, path, &a) ? fail_context(cx) : EXIT_DONE;
        if (!result) print_archive(a, path);
    }
    tg_archive_free(a);
    tg_context_free(cx);
    return finish_output(result);
}
