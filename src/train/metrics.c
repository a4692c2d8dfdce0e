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

#include "hdf5/calls.h"
#include "train/driver.h"

static const char header[] = "step,epoch,train_loss,valid_loss,lr,grad_norm,units_per_second,seconds\n";
static const char log_name[] = "metrics.csv", part_name[] = "metrics.csv.part";
enum { LONGEST_ROW = 512 };

static tg_status failed(metrics_log *m, const run_path *path, const char *what)
{
    return tg_context_note(m->cx, TG_ERR_IO, "tg_train: %.300s cannot be %s: %s", path->s, what,
                           strerror(errno));
}

static tg_status add(metrics_log *m, const char *text, size_t bytes)
{
    if (m->bytes + bytes > m->capacity) {
        const size_t capacity = 2 * (m->bytes + bytes) + 4096;
        char *larger = tg__allocate(m->cx, capacity);
        if (!larger) return TG_ERR_MEMORY;
        if (m->bytes) memcpy(larger, m->text, m->bytes);
        tg__release(m->cx, m->text);
        m->text = larger;
        m->capacity = capacity;
    }
    memcpy(m->text + m->bytes, text, bytes);
    m->bytes += bytes;
    return TG_OK;
}

/* ---- writing ---- */

static bool write_rest(metrics_log *m)
{
    if (lseek(m->fd, m->synced + (off_t)m->written, SEEK_SET) < 0) return false;
    while (m->written < m->bytes) {
        const ssize_t n = tg__file_calls->write(m->fd, m->text + m->written, m->bytes - m->written);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = ENOSPC; /* a device that takes nothing and gives no reason */
        if (n <= 0) return false;
        m->written += (size_t)n;
    }
    return true;
}

static tg_status sync_rest(metrics_log *m, const run_path *path)
{
    if (!write_rest(m)) return failed(m, path, "written");
    if (tg__file_calls->fsync(m->fd)) {
        m->written = 0;
        return failed(m, path, "brought to the disk");
    }
    m->synced += (off_t)m->bytes;
    m->bytes = m->written = 0;
    return TG_OK;
}

/* A new file with the text, which takes the old one's place at one stroke. */
static tg_status replace(metrics_log *m)
{
    const run_path aside = tg__run_path(m->directory, "metrics.csv.damaged");
    tg_status s = tg__run_file(m->directory, part_name, O_RDWR | O_CREAT, &m->fd);
    if (s) return s;
    if (ftruncate(m->fd, 0)) s = failed(m, &m->part, "emptied");
    const size_t bytes = m->bytes;
    if (!s) s = sync_rest(m, &m->part);
    if (!s && m->damaged && tg__file_calls->rename(m->path.s, aside.s) && errno != ENOENT)
        s = failed(m, &m->path, "set aside");
    if (!s && tg__file_calls->rename(m->part.s, m->path.s)) s = failed(m, &m->path, "replaced");
    if (!s) {
        m->replace = m->damaged = false;
        return TG_OK;
    }
    m->bytes = bytes; /* the text is still in memory, whatever became of the file */
    m->synced = 0;
    m->written = 0;
    tg__file_calls->close(m->fd);
    m->fd = -1;
    tg__file_calls->unlink(m->part.s);
    return s;
}

static tg_status write_out(metrics_log *m)
{
    if (m->replace) return replace(m);
    return m->fd < 0 || write_rest(m) ? TG_OK : failed(m, &m->path, "written");
}

tg_status tg__metrics_sync(metrics_log *m)
{
    if (m->replace) return replace(m);
    return m->fd < 0 || !m->bytes ? TG_OK : sync_rest(m, &m->path);
}

static int put(char *to, bool present, double value)
{
    return present ? snprintf(to, 32, ",%.9g", value) : snprintf(to, 32, ",");
}

tg_status tg__metrics_write(metrics_log *m, const metrics_row *row)
{
    char text[LONGEST_ROW];
    if (m->fd < 0 && !m->replace) return TG_OK;
    const locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    const locale_t users = plain ? uselocale(plain) : (locale_t)0;
    int n = snprintf(text, 32, "%lld,", (long long)row->step);
    if (row->epoch) n += snprintf(text + n, 32, "%lld", (long long)row->epoch);
    n += put(text + n, row->has_train, row->train_loss);
    n += put(text + n, row->has_valid, row->valid_loss);
    n += snprintf(text + n, 32, ",%s", tg_number(row->lr).s);
    n += put(text + n, row->has_train, row->grad_norm);
    n += put(text + n, row->has_speed, row->units_per_second);
    n += put(text + n, true, row->seconds);
    text[n++] = '\n';
    if (plain) uselocale(users), freelocale(plain);
    const tg_status s = add(m, text, (size_t)n);
    return s ? s : write_out(m);
}

/* ---- the log of a run that goes on ---- */

/* Takes over the header and all whole rows up to `step`. A row that was cut off by a crash, and whatever follows
 * it, is left out. What spreadsheets add, a byte order mark and carriage returns, is taken away; *changed tells
 * whether the text is another one than the file's. */
static tg_status take_rows(metrics_log *m, FILE *from, int64_t step, bool *changed)
{
    static const char mark[] = "\xEF\xBB\xBF";
    char row[LONGEST_ROW];
    bool first = true, ours = true;
    tg_status s = TG_OK;
    *changed = false;
    while (!s && ours && fgets(row, sizeof row, from)) {
        char *begin = row, *end = strchr(row, '\n');
        if (first && !row[0]) { /* what a power cut leaves of a file whose content never reached the disk */
            m->damaged = true;
            tg__context_log(
                m->cx, TG_LOG_WARNING,
                "%.300s begins with zeros, as after a power cut: it is set aside as metrics.csv.damaged",
                m->path.s);
            break;
        }
        if (first && !strncmp(row, mark, sizeof mark - 1)) begin += sizeof mark - 1, *changed = true;
        if (end && end > begin && end[-1] == '\r') memcpy(end - 1, "\n", 2), *changed = true;
        if (first) {
            ours = !strcmp(begin, header);
        } else {
            const long long at = strtoll(begin, &end, 10);
            if (end == begin || *end != ',' || !strchr(begin, '\n') || at > step) {
                *changed = true;
                break;
            }
        }
        first = false;
        if (ours) s = add(m, begin, strlen(begin));
    }
    if (!s && ferror(from)) s = failed(m, &m->path, "read");
    if (!s && !ours)
        s = tg_context_note(m->cx, TG_ERR_FORMAT,
                            "tg_train: %.300s does not begin with the line '%.*s': move it away", m->path.s,
                            (int)sizeof header - 2, header);
    if (!s && !m->bytes) *changed = true, s = add(m, header, sizeof header - 1);
    return s;
}

static tg_status open_old(metrics_log *m, int64_t step)
{
    tg_status s = tg__run_file(m->directory, log_name, O_RDWR, &m->fd);
    m->replace = true;
    if (s == TG_ERR_ABSENT) return add(m, header, sizeof header - 1);
    if (s) return s;
    const int copy = fcntl(m->fd, F_DUPFD_CLOEXEC, 0);
    FILE *from = copy < 0 ? NULL : fdopen(copy, "r");
    if (!from) {
        s = failed(m, &m->path, "read");
        if (copy >= 0) close(copy);
    } else {
        s = take_rows(m, from, step, &m->replace);
        fclose(from);
    }
    if (s) return s;
    if (m->replace) {
        close(m->fd);
        m->fd = -1;
        return TG_OK;
    }
    m->synced = (off_t)m->bytes; /* the file stays, and new rows follow these */
    m->bytes = 0;
    return TG_OK;
}

tg_status tg__metrics_open(metrics_log *m, const run_directory *d, bool resume, int64_t step)
{
    *m = (metrics_log){ .cx = d->cx,
                        .directory = d,
                        .path = tg__run_path(d, log_name),
                        .part = tg__run_path(d, part_name),
                        .fd = -1 };
    if (!d->path) return TG_OK;
    int part;
    const tg_status s = tg__run_file(d, part_name, O_RDWR, &part); /* is something in the way? */
    if (s && s != TG_ERR_ABSENT) return s;
    if (part >= 0) tg__file_calls->close(part);
    if (resume) return open_old(m, step);
    m->replace = true;
    return add(m, header, sizeof header - 1);
}

void tg__metrics_close(metrics_log *m)
{
    if (m->fd >= 0) tg__file_calls->close(m->fd);
    m->fd = -1;
    m->replace = false;
    tg__release(m->cx, m->text);
    m->text = NULL;
    m->bytes = m->capacity = 0;
}
