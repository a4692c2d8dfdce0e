/* tests/golden_fixture.h -- golden files: one array a line, `name dimension ... = number ...`. */
#ifndef GOLDEN_FIXTURE_H
#define GOLDEN_FIXTURE_H

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <tidegate/tidegate.h>

#include "check_main.h"

enum { MOST_ARRAYS = 400, MOST = 256 };

typedef struct array {
    char name[96];
    int rank, dim[TG_MAX_RANK];
    size_t n;
    tg_real value[MOST];
} array;

typedef struct golden {
    int n;
    array array[MOST_ARRAYS];
} golden;

static inline void read_array(char *line, array *a)
{
    char *equals = strstr(line, " = "), *p = strchr(line, ' ');
    ck_assert(equals && p);
    ck_assert_int_eq(sscanf(line, "%95s", a->name), 1);
    for (a->rank = 0; p < equals; a->rank++) {
        ck_assert_int_lt(a->rank, TG_MAX_RANK);
        a->dim[a->rank] = (int)strtol(p, &p, 10);
    }
    a->n = 0;
    for (char *end = p = equals + 2;; p = end) {
        const double v = strtod(p, &end);
        if (end == p) break;
        ck_assert_uint_lt(a->n, MOST);
        a->value[a->n++] = (tg_real)v;
    }
}

static inline void read_golden(golden *g, const char *variant)
{
    static char line[65536];
    char path[512];
    snprintf(path, sizeof path, "%s/%s.txt", GOLDEN_FOLDER, variant);
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "cannot open %s", path);
    for (g->n = 0; fgets(line, sizeof line, file); g->n++) {
        ck_assert_int_lt(g->n, MOST_ARRAYS);
        read_array(line, &g->array[g->n]);
    }
    fclose(file);
}

static inline bool has(const golden *g, const char *name)
{
    for (int i = 0; i < g->n; i++)
        if (!strcmp(g->array[i].name, name)) return true;
    return false;
}

static inline const array *find(const golden *g, const char *prefix, const char *name)
{
    char whole[160];
    snprintf(whole, sizeof whole, "%s%s", prefix, name);
    for (int i = 0; i < g->n; i++)
        if (!strcmp(g->array[i].name, whole)) return &g->array[i];
    ck_abort_msg("the golden file has no '%s'", whole);
    return NULL;
}

static inline void assert_within(const array *wanted, const tg_real *got, size_t n, double bound)
{
    ck_assert_uint_eq(wanted->n, n);
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(fabs((double)got[i] - (double)wanted->value[i]) <= bound,
                      "%s[%zu] is %.15g, PyTorch has %.15g", wanted->name, i, (double)got[i],
                      (double)wanted->value[i]);
}

static inline double largest_of(const array *a)
{
    double largest = 0;
    for (size_t i = 0; i < a->n; i++) largest = fmax(largest, fabs((double)a->value[i]));
    return largest;
}

#endif
