/* tools/tidegate/metrics_table.c -- see metrics_table.h. */
#include "metrics_table.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "program.h"

static const char header[] = "step,epoch,train_loss,valid_loss,lr,grad_norm,units_per_second,seconds";
static const char *const names[METRICS_COLUMNS] = {
    "step", "epoch", "train_loss", "valid_loss", "lr", "grad_norm", "units_per_second", "seconds",
};
enum { LONGEST_ROW = 512, MOST_ROWS = 10000000 };
static const double LARGEST = 1e30, LARGEST_STEP = 1e15;

typedef struct reader {
    metrics_table *m;
    const char *path;
    int line, capacity;
} reader;

/* ---- one number ---- */

/* Decimal digits, or what printf() makes of a number that is none: of other things nothing comes from training.
 * The program never calls setlocale(), so the decimal point is a point. */
static bool parse_number(const char *text, double *x)
{
    char *end;
    const char *word = text + (*text == '-' || *text == '+');
    const bool none = !strcmp(word, "nan") || !strcmp(word, "inf");
    *x = INFINITY;
    if (none) return true;
    if (text[strspn(text, "+-.0123456789eE")]) return false;
    *x = strtod(text, &end);
    if (fabs(*x) > LARGEST) *x = INFINITY;
    return end != text && !*end;
}

/* The field of that column in the row that is being read. */
static bool take(reader *r, int column, const char *text)
{
    metrics_table *m = r->m;
    double *x = &m->column[column][m->rows];
    *x = NAN;
    if (!*text && column != METRICS_STEP) return true;
    if (!parse_number(text, x))
        return fail("%s: line %d: '%.40s' is no number (%s)", r->path, r->line, text, names[column]), false;
    if (column == METRICS_STEP) {
        if (*x < 0 || *x > LARGEST_STEP || *x != floor(*x))
            return fail("%s: line %d: '%.40s' is no step", r->path, r->line, text), false;
        if (m->rows && *x <= x[-1])
            return fail("%s: line %d: step %.0f comes after step %.0f", r->path, r->line, *x, x[-1]), false;
    } else if (isinf(*x) && !m->not_finite++) {
        m->first_not_finite = r->line;
    }
    return true;
}

/* ---- one row ---- */

static bool grow(reader *r)
{
    metrics_table *m = r->m;
    if (m->rows < r->capacity) return true;
    if (m->rows >= MOST_ROWS) return fail("%s: has more than %d rows", r->path, MOST_ROWS), false;
    const int capacity = r->capacity ? 2 * r->capacity : 256;
    for (int i = 0; i < METRICS_COLUMNS; i++) {
        double *larger = realloc(m->column[i], (size_t)capacity * sizeof *larger);
        if (!larger) return fail("%s: out of memory", r->path), false;
        m->column[i] = larger;
    }
    r->capacity = capacity;
    return true;
}

static bool take_row(reader *r, char *row)
{
    int fields = 1;
    for (const char *s = row; *s; s++) fields += *s == ',';
    if (fields != METRICS_COLUMNS)
        return fail("%s: line %d: has %d columns, not %d", r->path, r->line, fields, METRICS_COLUMNS), false;
    if (!grow(r)) return false;
    for (int i = 0; i < METRICS_COLUMNS; i++) {
        char *field = strsep(&row, ",");
        if (!take(r, i, field)) return false;
    }
    r->m->rows++;
    return true;
}

/* The next line without its end; 0: there is none (*good tells whether all is well), or it has no end. */
static bool next_line(reader *r, FILE *f, char row[LONGEST_ROW], bool *good)
{
    *good = true;
    errno = 0;
    if (!fgets(row, LONGEST_ROW, f)) {
        *good = !ferror(f);
        if (!*good) fail("%s: %s", r->path, strerror(errno ? errno : EIO));
        return false;
    }
    r->line++;
    size_t n = strlen(row);
    if (n && row[n - 1] == '\n') {
        row[--n] = 0;
        if (n && row[n - 1] == '\r') row[n - 1] = 0;
        return true;
    }
    if (!feof(f) || n == LONGEST_ROW - 1) {
        *good = false;
        if (n == LONGEST_ROW - 1)
            fail("%s: line %d: is longer than %d bytes", r->path, r->line, LONGEST_ROW - 2);
        else
            fail("%s: line %d: byte %zu is a NUL", r->path, r->line, n + 1);
        return false;
    }
    r->m->cut_off = r->line;
    return false;
}

/* ---- the file ---- */

static bool read_rows(reader *r, FILE *f)
{
    char row[LONGEST_ROW];
    bool good;
    if (!next_line(r, f, row, &good)) {
        if (good) fail("%s: line 1: is not '%s'", r->path, header);
        return false;
    }
    if (strcmp(row, header) != 0) return fail("%s: line 1: is not '%s'", r->path, header), false;
    while (next_line(r, f, row, &good))
        if (!take_row(r, row)) return false;
    if (good && !r->m->rows) return fail("%s: has no rows yet", r->path), false;
    return good;
}

/* Regular files only: a pipe would be waited for, and a device may never end. */
static FILE *open_regular(const char *path)
{
    struct stat is;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return fail("%s: %s", path, strerror(errno)), NULL;
    FILE *f = NULL;
    if (fstat(fd, &is) == 0 && !S_ISREG(is.st_mode))
        fail("%s: not a regular file", path);
    else if (!(f = fdopen(fd, "r")))
        fail("%s: %s", path, strerror(errno));
    if (!f) close(fd);
    return f;
}

bool metrics_table_read(metrics_table *m, const char *path)
{
    *m = (metrics_table){ 0 };
    reader r = { m, path, 0, 0 };
    FILE *f = open_regular(path);
    if (!f) return false;
    const bool good = read_rows(&r, f);
    fclose(f);
    if (!good) metrics_table_free(m);
    return good;
}

void metrics_table_free(metrics_table *m)
{
    for (int i = 0; i < METRICS_COLUMNS; i++) free(m->column[i]);
    *m = (metrics_table){ 0 };
}
