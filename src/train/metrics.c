/* train/metrics.c -- metrics.csv: a header, and a row whenever there is something to say.
 *
 * One row a step at most; the rate as short as it reads back the same, all other numbers with nine digits, with
 * a decimal point whatever the program's locale.                                                       */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "train/driver.h"

static const char header[] = "step,epoch,train_loss,valid_loss,lr,grad_norm,units_per_second,seconds\n";
enum { LONGEST_ROW = 512 };

static tg_status failed(metrics_log *m, const char *what, const char *path)
{
    const tg_status s =
        tg_context_note(m->cx, TG_ERR_IO, "tg_train: %.300s cannot be %s: %s", path, what, strerror(errno));
    if (m->file) fclose(m->file);
    m->file = NULL;
    return s;
}

/* Copies the header and all whole rows up to `step`. A row that was cut off by a crash, and whatever
 * follows it, is left out. False: it is not a log of ours. */
static bool copy_rows(FILE *from, FILE *to, int64_t step)
{
    char row[LONGEST_ROW];
    if (!fgets(row, sizeof row, from)) return !ferror(from) && fputs(header, to) >= 0; /* an empty file */
    if (strcmp(row, header)) return false;
    fputs(row, to);
    while (fgets(row, sizeof row, from)) {
        char *end;
        const long long at = strtoll(row, &end, 10);
        if (end == row || *end != ',' || !strchr(row, '\n') || at > step) break;
        fputs(row, to);
    }
    return true;
}

/* The old log without the rows after `step`, in a new file that takes its place at one stroke. */
static tg_status drop_rows(metrics_log *m, const run_directory *d, int64_t step)
{
    FILE *old = fopen(m->path.s, "re");
    if (!old && errno != ENOENT) return failed(m, "read", m->path.s);
    const run_path part = tg__run_path(d, "metrics.csv.part");
    m->file = fopen(part.s, "we");
    if (!m->file) {
        if (old) fclose(old);
        return failed(m, "written", part.s);
    }
    bool ours = true;
    if (old)
        ours = copy_rows(old, m->file, step);
    else
        fputs(header, m->file);
    if (old) fclose(old);
    if (!ours) {
        fclose(m->file);
        m->file = NULL;
        unlink(part.s);
        return tg_context_note(m->cx, TG_ERR_FORMAT,
                               "tg_train: %.300s does not begin with the line '%.*s': move it away",
                               m->path.s, (int)sizeof header - 2, header);
    }
    if (fflush(m->file) || ferror(m->file) || fsync(fileno(m->file))) return failed(m, "written", part.s);
    if (rename(part.s, m->path.s)) return failed(m, "put in place", m->path.s);
    return TG_OK; /* the open file is the log now */
}

tg_status tg__metrics_open(metrics_log *m, const run_directory *d, bool resume, int64_t step)
{
    *m = (metrics_log){ .cx = d->cx, .path = tg__run_path(d, "metrics.csv") };
    if (!d->path) return TG_OK;
    if (resume) return drop_rows(m, d, step);
    m->file = fopen(m->path.s, "we");
    if (!m->file || fputs(header, m->file) < 0 || fflush(m->file)) return failed(m, "written", m->path.s);
    return TG_OK;
}

static void put(FILE *f, bool present, double value)
{
    if (present) fprintf(f, ",%.9g", value);
    if (!present) fputc(',', f);
}

tg_status tg__metrics_write(metrics_log *m, const metrics_row *row)
{
    if (!m->file) return TG_OK;
    const locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    const locale_t users = plain ? uselocale(plain) : (locale_t)0;
    fprintf(m->file, "%lld,", (long long)row->step);
    if (row->epoch) fprintf(m->file, "%lld", (long long)row->epoch);
    put(m->file, row->has_train, row->train_loss);
    put(m->file, row->has_valid, row->valid_loss);
    fprintf(m->file, ",%s", tg_number(row->lr).s);
    put(m->file, row->has_train, row->grad_norm);
    put(m->file, row->has_speed, row->units_per_second);
    put(m->file, true, row->seconds);
    fputc('\n', m->file);
    const bool bad = fflush(m->file) || ferror(m->file);
    const int error = errno;
    if (plain) uselocale(users), freelocale(plain);
    errno = error;
    return bad ? failed(m, "written", m->path.s) : TG_OK;
}

tg_status tg__metrics_close(metrics_log *m)
{
    FILE *f = m->file;
    m->file = NULL;
    if (f && fclose(f)) return failed(m, "written", m->path.s);
    return TG_OK;
}
